import { html } from 'hono/html';
import type { RunSummary } from '../../src/ledger/read-run.ts';
import type { LiveWorker } from '../../src/ledger/read-tasks.ts';
import type { FleetOverview } from '../../src/progress/fleet.ts';
import type { FlowProgress, ProgressSnapshot } from '../../src/progress/types.ts';
import { holdText } from '../hold-text.ts';
import { bytes, count, duration, percent } from '../units.ts';

type Markup = ReturnType<typeof html>;

/** What the page shows. */
export interface RunsView extends FleetOverview {
  /** The target database's label. */
  target: string;
}

const refreshSeconds = 3;

const plural = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;

function flowRow(flow: FlowProgress): Markup {
  const rate = flow.state === 'copying' ? `${count(flow.rowsPerSecond)}/s` : '';
  const { done, running, waiting, failed } = flow.batches;
  return html`<tr>
    <td>${flow.name}</td>
    <td><code>${flow.target}</code></td>
    <td class="${flow.state}">${flow.state}</td>
    <td><progress max="1" value="${flow.fraction}">${percent(flow.fraction)}</progress></td>
    <td class="number">${count(flow.rows)}</td>
    <td class="number">${rate}</td>
    <td class="number">${count(done)} / ${count(done + running + waiting + failed)}</td>
    <td class="number ${failed > 0 ? 'failed' : ''}">${count(failed)}</td>
  </tr>`;
}

function flowTable(flows: FlowProgress[]): Markup {
  if (flows.length === 0) return html``;
  return html`<div class="wide"><table>
    <thead><tr><th>Flow</th><th>Target</th><th>State</th><th>Progress</th><th class="number">Rows</th>
      <th class="number">Rate</th><th class="number">Batches done</th><th class="number">Failed</th></tr></thead>
    <tbody>${flows.map(flowRow)}</tbody>
  </table></div>`;
}

function progressLine({ overall, run }: ProgressSnapshot): Markup {
  const active = run.state === 'running' || run.state === 'cancelling';
  const eta = 'seconds' in overall.eta ? `${duration(overall.eta.seconds)} left` : overall.eta.reason;
  return html`<progress max="1" value="${overall.fraction}">${percent(overall.fraction)}</progress>
    <div class="line"><span>${percent(overall.fraction)}</span>
      <span>${count(overall.rows)} rows</span><span>${bytes(overall.bytes)}</span>
      <span>${count(overall.rowsPerSecond)} rows/s</span>${active ? html`<span>${eta}</span>` : ''}</div>`;
}

function runSection(run: RunSummary, snapshot: ProgressSnapshot | undefined): Markup {
  const running = run.state === 'running';
  const holds = snapshot?.holds ?? [];
  const held = holds.some(({ reason }) => reason === run.waiting);
  return html`<section>
    <div class="line">
      <h2>${run.name}</h2>
      <span class="faint">run ${run.id}, ${run.kind}</span>
      <span class="state ${run.state}">${run.state}</span>
      ${running ? html`<span>phase ${run.phase}</span>` : ''}
      <span class="faint">${duration(run.elapsedSeconds)}, since ${run.createdAt.toISOString().slice(0, 19)}Z</span>
      ${run.findings > 0 ? html`<span class="findings">${plural(run.findings, 'finding')}</span>` : ''}
    </div>
    ${holds.map((hold) => html`<p>${holdText(hold, snapshot!.at)}</p>`)}
    ${run.waiting && !held ? html`<p>Waiting: ${run.waiting}</p>` : ''}
    ${run.error ? html`<p class="failed">${run.error.code}: ${run.error.message}</p>` : ''}
    ${run.error?.hint ? html`<p>${run.error.hint}</p>` : ''}
    ${snapshot ? progressLine(snapshot) : ''}
    ${snapshot ? flowTable(snapshot.flows) : ''}
  </section>`;
}

function fleetLine(workers: LiveWorker[]): string {
  if (workers.length === 0) return 'no process of the fleet is alive';
  const kinds = ['scheduler', 'loader', 'validator'] as const;
  const counts = kinds.map(
    (kind) => [workers.filter((worker) => worker.kind === kind).length, kind] as const,
  );
  return counts
    .filter(([n]) => n > 0)
    .map(([n, kind]) => plural(n, kind))
    .join(', ');
}

/** A whole page around `body`. */
export function page(body: Markup, options: { refresh?: boolean } = {}): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${options.refresh ? html`<meta http-equiv="refresh" content="${refreshSeconds}">` : ''}
<title>rowfleet</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
</head>
<body>${body}</body>
</html>`;
}

/** The runs of a target, newest first; what is under way with its flows. Reloads itself. */
export function runsPage(view: RunsView): Markup {
  return page(
    html`<header><h1>rowfleet</h1><span class="faint">${view.target}</span><span>${fleetLine(view.workers)}</span>
      <a href="/queues">Queues</a><a href="/metrics">Metrics</a><a href="/health">Health</a></header>
    <main>${
      view.runs.length === 0
        ? html`<p>No runs yet. <code>rowfleet migrate -c plan.yaml</code> starts one.</p>`
        : view.runs.map((run) => runSection(run, view.snapshots.get(run.id)))
    }</main>`,
    { refresh: true },
  );
}

/** A page that says one sentence, for errors. */
export function messagePage(message: string): Markup {
  return page(html`<header><h1>rowfleet</h1><a href="/">Runs</a></header><p>${message}</p>`);
}

import type { Command } from 'commander';
import { listIdMaps, lookUp } from '../../../src/control/id-maps.ts';
import { withLedger } from '../../../src/control/open.ts';
import { count } from '../../units.ts';
import { type CommonOptions, emit, perform, say, withCommonOptions } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { table } from '../render/table.ts';
import { printable } from '../render/text.ts';
import { targetOf } from '../target.ts';

type Options = CommonOptions & { config?: string };

async function printMaps(options: Options): Promise<void> {
  const maps = await withLedger(targetOf(options), listIdMaps);
  if (options.json === true) return emit('id-maps', { maps });
  if (maps.length === 0) return say('the target has no id maps');
  say(
    ...table(
      [
        ['id map', 'old keys of', 'types', 'new', 'keys', 'table'],
        ...maps.map(({ name, relation, oldTypes, new: kind, rows }) => [
          name,
          printable(relation),
          oldTypes.join(', '),
          kind,
          count(rows),
          `rowfleet.id_map_${name}`,
        ]),
      ],
      [4],
    ),
  );
}

async function printIds(options: Options, name: string, given: string[]): Promise<void> {
  const keys = given.map((key) => key.split(','));
  const found = await withLedger(targetOf(options), (ledger) => lookUp(ledger, name, keys));
  const rows = given.map((key, i) => ({ key, id: found[i] ?? null }));
  if (options.json === true) return emit('ids', { map: name, rows });
  say(
    ...table(
      rows.map(({ key, id }) => [printable(key), id ?? 'is not in the map']),
      [],
    ),
  );
}

/** `rowfleet ids [map] [key...]`: the id maps that a target keeps, and the new ids of old keys. */
export function addIds(program: Command): void {
  const command = program
    .command('ids')
    .summary('look old keys up in the id maps of a target')
    .description(
      'Lists the id maps that the ledger of a target keeps, also after their runs; with a map and old keys it prints their new ' +
        'ids. The parts of a key are separated by commas. Each map is a table as well: select new_id from ' +
        'rowfleet.id_map_customer where old_1 = 17.',
    )
    .argument('[map]', 'name of an id map')
    .argument('[key...]', 'old keys')
    .option('-c, --config <plan.yaml>', 'the plan whose target to look at')
    .addHelpText('after', '\nExample:\n  rowfleet ids customer 17 18 -c plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: Options, map: string | undefined, keys: string[]) => {
      if (map === undefined) await printMaps(options);
      else await printIds(options, map, keys);
      return exitCode.verified;
    }),
  );
}

/** The page's style sheet. No font, image or script comes from anywhere else. */
export const styleSheet = `
:root { color-scheme: light dark; --edge: light-dark(#d5dae1, #333c48); --faint: light-dark(#5b6673, #98a3b0);
  --good: light-dark(#1a7f37, #4cc26b); --bad: light-dark(#c02430, #ff7b72); --busy: light-dark(#0b62c4, #6cb2ff); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1.25rem; margin-bottom: 1rem; }
h1 { font-size: 1.3rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 0; }
a { color: var(--busy); }
section { border: 1px solid var(--edge); border-radius: 8px; padding: .9rem 1rem; margin: 0 0 1rem; }
.line { display: flex; flex-wrap: wrap; align-items: baseline; gap: .15rem 1rem; }
.faint { color: var(--faint); }
.state { font-weight: 600; }
.verified, .done { color: var(--good); }
.failed, .findings, .cancelled { color: var(--bad); }
.running, .copying, .cancelling { color: var(--busy); }
progress { width: 100%; height: .6rem; accent-color: var(--busy); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; white-space: nowrap; }
th { color: var(--faint); font-weight: 500; border-bottom: 1px solid var(--edge); }
td.number, th.number { text-align: right; }
td progress { min-width: 8rem; }
p { margin: .4rem 0 0; overflow-wrap: anywhere; }
code { font-size: .92em; }
`;

/** Each row as a card of its own, each cell beside its column's name. */
const asCards = (table: string) => `
${table} thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
${table},${table} tbody,${table} tr,${table} td,${table} th{display:block;width:auto}
${table} tr{border:1px solid var(--line);border-radius:.4rem;padding:.3rem .6rem;margin-bottom:.5rem}
${table} td,${table} th{display:grid;grid-template-columns:7.5rem minmax(0,1fr);border:0;padding:.1rem 0}
${table} td::before,${table} th::before{content:attr(data-label);color:var(--muted);font-weight:400}
${table} th{color:var(--ink)}
`

/** The look of the HTML report: light, dark, phone and print. Nothing is loaded, and colour never carries meaning alone. */
export const STYLE = `
:root{color-scheme:light dark;--paper:#fff;--raised:#f6f8fa;--ink:#1b1f24;--muted:#57606a;--line:#c9d1d9;--held:#0b5cad;--ok:#1a7f37;--bad:#b42318;--warn:#7d4e00;--gone:#57606a;--band:#b4231822}
@media (prefers-color-scheme:dark){:root{--paper:#0d1117;--raised:#161b22;--ink:#e6edf3;--muted:#9aa4af;--line:#3b434c;--held:#58a6ff;--ok:#3fb950;--bad:#ff7b72;--warn:#e3b341;--gone:#9aa4af;--band:#ff7b7233}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;padding:1.5rem 1.25rem 3rem;max-width:90rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI","Liberation Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}
h2{font-size:1.25rem;line-height:1.3;margin:0}
h3{font-size:1rem;margin:1.25rem 0 .4rem}
p,ul,ol,dl,table{margin:.5rem 0}
a{color:var(--held)}
code,.mono{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace;font-size:.875em}
.lead{font-size:1.15rem;margin:0}
.muted{color:var(--muted)}
.badge{display:inline-block;padding:0 .5em;border:2px solid;border-radius:.3em;font-size:.8em;font-weight:700;letter-spacing:.03em;vertical-align:.1em;white-space:nowrap}
.badge.passed{color:var(--ok)}
.badge.failed{color:var(--bad);border-style:double;border-width:4px}
.badge.refused{color:var(--warn);border-style:dashed}
dl.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.6rem 1.25rem}
dl.facts div{border-left:3px solid var(--line);padding-left:.6rem}
dt{color:var(--muted);font-size:.85rem}
dd{margin:0;font-variant-numeric:tabular-nums}
section.drill{border-top:2px solid var(--line);margin-top:2rem;padding-top:1.25rem}
.reasons li{color:var(--bad);font-weight:600}
.columns{display:grid;grid-template-columns:minmax(0,1fr);gap:0 2rem}
figure{margin:1rem 0 0}
figcaption{font-weight:600;margin-bottom:.35rem}
.timeline{display:flex;background:var(--raised);border:1px solid var(--line);border-radius:.4rem;padding:.5rem .6rem .25rem}
.timeline svg.labels{flex:none}
.timeline svg.plot{flex:1 1 0;min-width:0}
svg text{font:11px system-ui,-apple-system,"Segoe UI","Liberation Sans",sans-serif;fill:var(--ink)}
svg .server{font-weight:700;font-size:12px}
svg .name,svg .axis,svg .small{fill:var(--muted)}
svg .small{font-size:10px}
svg .value{font-variant-numeric:tabular-nums}
svg .gap{font-weight:700;fill:var(--bad)}
svg .on{font-weight:600}
svg .halo{paint-order:stroke;stroke:var(--raised);stroke-width:4px;stroke-linejoin:round}
svg line.grid{stroke:var(--line);stroke-width:1;stroke-dasharray:1 3}
svg line.base,svg line.rule{stroke:var(--line);stroke-width:1}
svg line.mark{stroke:var(--ink);stroke-width:1;stroke-dasharray:4 3}
svg line.mark.disturbed,svg line.mark.undone{stroke-dasharray:none;stroke-width:1.5}
svg circle.mark{fill:var(--ink)}
svg rect.outage{fill:var(--band);stroke:var(--bad);stroke-width:1}
svg rect.held{fill:var(--held)}
svg rect.active,svg rect.ok{fill:var(--ok)}
svg rect.down{fill:url(#hatch);stroke:var(--bad);stroke-width:1}
svg rect.failed,svg rect.cut{fill:var(--bad)}
svg rect.kept{fill:var(--held)}
svg rect.unknown{fill:url(#dots)}
svg rect.gone{fill:url(#cross);stroke:var(--gone);stroke-width:1}
.hatch{stroke:var(--bad);stroke-width:2}
.cross{stroke:var(--gone);stroke-width:1;fill:none}
.dots{fill:var(--gone)}
ul.legend{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;padding:0;list-style:none;font-size:.85rem;color:var(--muted)}
ul.legend svg{vertical-align:-2px;margin-right:.35rem}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line)}
th{color:var(--muted);font-weight:600}
tbody th{color:var(--ink)}
#all div{overflow-x:auto}
#all td,#all th{overflow-wrap:break-word}
details>summary{cursor:pointer;font-weight:600}
.journal{margin:.4rem 0 0;padding:.4rem .6rem;list-style:none;background:var(--raised);border:1px solid var(--line);border-radius:.4rem;font-size:.85rem;line-height:1.4}
.journal li{padding:.12rem 0}
.journal time{color:var(--muted);font-variant-numeric:tabular-nums;margin-right:.5em;white-space:nowrap}
.journal b{display:inline-block;max-width:100%;margin-right:.5em}
.journal .src{color:var(--muted);margin-right:.5em}
.journal li.event{border-top:1px solid var(--line);border-bottom:1px solid var(--line);margin:.2rem 0;font-weight:700}
@media (min-width:75rem){.columns.two{grid-template-columns:minmax(0,3fr) minmax(0,2fr)}.columns.two .journal{max-height:52rem;overflow-y:auto}}
@media screen and (max-width:60rem){${asCards('#all table.cards')}}
@media screen and (max-width:44rem){
body{padding:1rem .75rem 2rem}
svg .wide{display:none}
dl.facts{grid-template-columns:repeat(auto-fill,minmax(9rem,1fr))}
${asCards('table.cards')}}
@media print{
:root{color-scheme:light;--paper:#fff;--raised:#fff;--ink:#000;--muted:#333;--line:#888;--held:#000;--ok:#000;--bad:#000;--warn:#000;--gone:#000;--band:#0000001a}
@page{margin:14mm}
body{max-width:none;padding:0;font-size:10pt}
a{color:inherit;text-decoration:none}
section.drill{break-before:page}
section.drill:first-of-type,#all,#all+section.drill{break-before:auto}
figure,tr,.journal li,dl.facts div{break-inside:avoid}
h2,h3,figcaption,caption,summary{break-after:avoid}
table{font-size:9pt}
#all table{font-size:8pt}
#all div{overflow:visible}
.columns.two{display:block}
.journal{max-height:none!important;overflow:visible!important;border:0;padding:0}
}
`

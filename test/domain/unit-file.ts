/** Reads a hook out of a drop-in as systemd does (systemd.unit(5), "QUOTING"; systemd.service(5), "COMMAND LINES"). */
export function hookScript(unitText: string, key: string): string {
  const joined = unitText.replaceAll('\\\n', ' ')
  const line = joined.split('\n').find(l => l.startsWith(`${key}=`))
  const match = /^\w+=-\/bin\/sh -c "((?:[^"\\]|\\.)*)"$/.exec(line ?? '')
  if (match === null) throw new Error(`no ${key} of that form in ${unitText}`)
  return (match[1] ?? '').replace(/\\(.)/g, '$1').replaceAll('%%', '%').replaceAll('$$', '$')
}

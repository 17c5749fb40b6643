/** What a drop-in runs: the words of an Exec line, whose failure systemd ignores (systemd.service(5), "COMMAND LINES"). */
export function hookCall(unitText: string, key: string): readonly string[] {
  const line = unitText.split('\n').find(text => text.startsWith(`${key}=`))
  const match = /^\w+=-(\/[\w./-]+(?: [\w-]+)*)$/.exec(line ?? '')
  if (match === null) throw new Error(`no ${key} of that form in ${unitText}`)
  return match[1]?.split(' ') ?? []
}

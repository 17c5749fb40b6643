const colour = process.stdout.isTTY && !process.env['NO_COLOR']

const painter = (code: number) => (text: string) => (colour ? `\u001B[${code}m${text}\u001B[0m` : text)
export const bold = painter(1)
export const red = painter(31)
export const green = painter(32)

export function heading(text: string): void {
  console.log(`\n${bold(`== ${text}`)}`)
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`

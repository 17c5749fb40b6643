const colour = process.stdout.isTTY && !process.env['NO_COLOR']

export const bold = (text: string): string => (colour ? `\u001B[1m${text}\u001B[0m` : text)

export function heading(text: string): void {
  console.log(`\n${bold(`== ${text}`)}`)
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`

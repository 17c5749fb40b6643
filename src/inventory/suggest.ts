/** The word that an operator most likely meant, for "did you mean", or the words to choose from. */

/** The nearest of the known words, or undefined where none is near enough for a typing error. */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined
  const wanted = word.toLowerCase().replaceAll('-', '_')
  let best: { readonly word: string; readonly distance: number } | undefined
  for (const candidate of known) {
    const distance = editDistance(wanted, candidate.toLowerCase().replaceAll('-', '_'))
    if (best === undefined || distance < best.distance) best = { word: candidate, distance }
  }
  if (best === undefined) return undefined
  const shorter = Math.min(word.length, best.word.length)
  return best.distance <= Math.max(1, Math.floor(shorter / 3)) && best.distance < shorter ? best.word : undefined
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const replaced = (last[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      let least = Math.min(replaced, (last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1)
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        least = Math.min(least, (beforeLast[column - 2] ?? 0) + 1)
      }
      current.push(least)
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}

/** Words in a list that stays readable: "a, b, c and 12 more". */
export function someOf(words: readonly string[]): string {
  const shown = words.slice(0, 12)
  return words.length > shown.length ? `${shown.join(', ')} and ${words.length - shown.length} more` : shown.join(', ')
}

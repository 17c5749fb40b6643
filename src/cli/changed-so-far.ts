/** What a run changed before it stopped, server by server: from its ledger, with details from the steps that its scripts reported. */
import type { EngineEvent } from '../engine/events.ts'
import type { Ledger, LedgerEntry } from '../ports.ts'

export interface Changed {
  readonly name: string
  /** Ids of what was changed; the label of a script that reports no steps. */
  readonly changed: readonly string[]
  /** Labels of scripts whose result is not known: they may have changed more. */
  readonly unanswered?: readonly string[]
}

export interface ChangesSoFar {
  see(event: EngineEvent): void
  servers(): readonly Changed[]
}

export function changesSoFar(ledger: Ledger): ChangesSoFar {
  const steps = new Map<LedgerEntry, string[]>()
  return {
    see(event) {
      if (event.kind !== 'action-done' || !isChange(event.id)) return
      const entry = ledger.entries.findLast(({ server }) => server === event.server)
      if (entry !== undefined) steps.set(entry, [...(steps.get(entry) ?? []), event.id])
    },
    servers() {
      const changes = ledger.entries.filter(({ effect }) => effect !== 'undo')
      return [...new Set(changes.map(({ server }) => server))].flatMap(name => {
        const own = changes.filter(({ server }) => server === name)
        const changed = [...new Set(own.flatMap(entry => changedBy(entry, steps.get(entry) ?? [])))]
        const unanswered = own.flatMap(({ state, label }) => (state === 'unanswered' ? [label] : []))
        if (changed.length + unanswered.length === 0) return []
        return [{ name, changed, ...(unanswered.length === 0 ? {} : { unanswered }) }]
      })
    },
  }
}

function changedBy({ state, label }: LedgerEntry, ids: readonly string[]): readonly string[] {
  switch (state) {
    case 'not made':
      return []
    // An undo leaves packages installed.
    case 'put back':
      return ids.filter(id => id.startsWith('package/'))
    case 'made':
      return ids.length > 0 ? ids : [label]
    case 'unanswered':
      return ids
  }
}

/** A look at apt and a check of a file change nothing that runs. */
function isChange(id: string): boolean {
  return !id.startsWith('apt/') && !id.startsWith('check/')
}

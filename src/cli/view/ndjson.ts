import type { EngineEvent } from '../../engine/events.ts'
import { sampleFilter, type EventSink } from './lines.ts'

/** Events as JSON objects, one per line: `kind` is called `event`, the keys are snake_case. */
export function createNdjson(write: (line: string) => void): EventSink {
  const worthShowing = sampleFilter()
  return event => {
    if (event.kind !== 'drill-sample' || worthShowing(event)) write(renderJson(eventObject(event)))
  }
}

function eventObject(event: EngineEvent): Record<string, unknown> {
  const { kind, ...rest } = event
  return { event: kind, ...snakeKeys(rest) }
}

/** camelCase keys as snake_case, at the top only: below it keys may be the operator's own names. */
export function snakeKeys(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`), inner]),
  )
}

/** What is not known is null, never left out: a reader finds every key. */
export function renderJson(value: object, indent?: number): string {
  return JSON.stringify(value, (_key, inner: unknown) => (inner === undefined ? null : inner), indent)
}

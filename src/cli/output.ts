import type { EngineEvent } from '../engine/events.ts'
import type { Ports } from '../ports.ts'
import { createLines, type EventSink } from './view/lines.ts'
import { createNdjson, renderJson } from './view/ndjson.ts'
import { styleFor, type Style } from './view/style.ts'

export interface OutputSettings {
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly colour: boolean
}

/** All output: results to stdout, progress and errors to stderr; with --json all text to stderr. */
export interface Output extends OutputSettings {
  /** For text(): no limit where it goes to a file. */
  readonly columns: number
  /** For problem(): no limit where it goes to a file, so that a command to copy stays in one line. */
  readonly errorColumns: number
  /** For text(): colour only where that stream is a terminal. */
  readonly style: Style
  /** For problem(). */
  readonly errorStyle: Style
  /** The result in words; nothing with --quiet. */
  text(text: string): void
  /** What must be shown even with --quiet. */
  important(text: string): void
  /** What went wrong. */
  problem(text: string): void
  /** One line of --json; nothing without it. */
  object(value: Readonly<Record<string, unknown>>): void
  readonly event: EventSink
  /** Ends the drawing; called before anything else is printed or asked. */
  settle(): Promise<void>
  /** Asks while work goes on: events of that time are shown after the answer. */
  pausedFor<T>(question: () => Promise<T>): Promise<T>
}

/** A drawing that follows events until it is ended. */
export interface Tree {
  readonly event: EventSink
  /** `goesOn`: unfinished work continues in another drawing. */
  end(goesOn?: boolean): Promise<void>
}

export type TreeFactory = () => Promise<Tree>

export function createOutput(settings: OutputSettings, terminal: Ports['terminal'], createTree: TreeFactory): Output {
  const { json, quiet, colour } = settings
  const writeText = (text: string) => {
    const whole = text.endsWith('\n') ? text : `${text}\n`
    if (json) terminal.writeErr(whole)
    else terminal.writeOut(whole)
  }
  const widthOf = (isTTY: boolean) => (isTTY && terminal.columns > 0 ? terminal.columns : Number.POSITIVE_INFINITY)
  const progress = chooseProgress(settings, terminal, createTree)
  let held: EngineEvent[] | undefined
  return {
    ...settings,
    columns: widthOf(json ? terminal.stderrIsTTY : terminal.stdoutIsTTY),
    errorColumns: widthOf(terminal.stderrIsTTY),
    style: styleFor(colour && (json ? terminal.stderrIsTTY : terminal.stdoutIsTTY)),
    errorStyle: styleFor(colour && terminal.stderrIsTTY),
    text: text => {
      if (!quiet) writeText(text)
    },
    important: writeText,
    problem: text => terminal.writeErr(text.endsWith('\n') ? text : `${text}\n`),
    object: value => {
      if (json) terminal.writeOut(`${renderJson(value)}\n`)
    },
    event: event => (held === undefined ? progress.event(event) : void held.push(event)),
    settle: () => progress.end(),
    pausedFor: async question => {
      held ??= []
      try {
        await progress.end(true)
        return await question()
      } finally {
        const waiting = held
        held = undefined
        for (const event of waiting) progress.event(event)
      }
    },
  }
}

function chooseProgress({ json, quiet, verbose }: OutputSettings, terminal: Ports['terminal'], createTree: TreeFactory): Tree {
  if (quiet) return { event: () => {}, end: async () => {} }
  if (json) return { event: createNdjson(line => terminal.writeOut(`${line}\n`)), end: async () => {} }
  // A terminal without a width (some CI runners) would get one character per line.
  if (terminal.stdoutIsTTY && terminal.columns > 0) return treeOnDemand(createTree)
  return { event: createLines(line => terminal.writeErr(`${line}\n`), verbose), end: async () => {} }
}

/** Loads the drawing library at the first event, and again after every end. Events of that time wait in a queue. */
function treeOnDemand(create: () => Promise<Tree>): Tree {
  let tree: Tree | undefined
  let loading: Promise<void> | undefined
  let queue: EngineEvent[] = []
  const load = async () => {
    const loaded = await create()
    for (const event of queue) loaded.event(event)
    queue = []
    tree = loaded
  }
  return {
    event: event => {
      if (tree !== undefined) return tree.event(event)
      queue.push(event)
      loading ??= load()
      // settle() awaits this promise and reports its failure. Until then the failure must not count as unhandled.
      loading.catch(() => {})
    },
    end: async goesOn => {
      await loading
      loading = undefined
      const ending = tree
      tree = undefined
      await ending?.end(goesOn)
    },
  }
}

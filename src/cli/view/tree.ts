import { Listr, type ListrGetRendererClassFromValue, type ListrRendererValue, type ListrTask, type ListrTaskWrapper } from 'listr2'
import type { EngineEvent } from '../../engine/events.ts'
import type { Tree } from '../output.ts'
import { count, formatMs } from '../../words.ts'
import { renderProbes, renderServer, type Sample } from './lines.ts'
import { printable } from './style.ts'

type Renderer = ListrGetRendererClassFromValue<ListrRendererValue>
type Task = ListrTask<unknown, Renderer, Renderer>
type Wrapper = ListrTaskWrapper<unknown, Renderer, Renderer>

// The engine owns signals and concurrency: listr2's own handling would end the process in the middle of an undo.
const LIST = { concurrent: true, exitOnError: false, registerSignalListeners: false } as const

/**
 * The tree that a terminal shows: a task per stage, with one per server in it, redrawn as events come. The tasks do no work: each waits
 * for the event that ends it. `renderer` is listr2's word for how it draws.
 */
export function createTree(renderer: ListrRendererValue = 'default'): Tree {
  const root = createBranch()
  const list = new Listr<unknown, ListrRendererValue, ListrRendererValue>([root.grow], {
    ...LIST,
    renderer,
    rendererOptions: { collapseSubtasks: false, collapseErrors: false, collapseSkips: true },
  })
  const running = list.run()
  // Events from before the first section have a place of their own, beside the sections.
  const outside = createSection('outside', root)
  let section: Section | undefined
  const open = (key: string, title: string): Section => {
    if (section?.key === key) return section
    section?.close()
    const branch = createBranch()
    root.add({ title: printable(title), task: (_context, wrapper) => wrapper.newListr([branch.grow], LIST) })
    section = createSection(key, branch)
    return section
  }
  const follow = createFollower(open, () => section ?? outside)
  return {
    event: follow,
    end: async goesOn => {
      section?.close(goesOn)
      outside.close(goesOn)
      await running
    },
  }
}

/** Translates events into sections and lines. */
function createFollower(open: (key: string, title: string) => Section, current: () => Section): (event: EngineEvent) => void {
  let drills = 0
  let sample: Sample | undefined
  return event => {
    switch (event.kind) {
      case 'observe-started':
        return open('observe', 'look at the servers').line(event.server).show(event.server, 'connect and look')
      case 'observed':
        return open('observe', 'look at the servers')
          .line(event.server)
          .done(`${event.server}: ${event.detail ?? 'seen'} (${formatMs(event.durationMs)})`)
      case 'observe-failed':
        return open('observe', 'look at the servers').line(event.server).fail(event.server, event.detail)
      case 'stage-started': {
        const section = open(`stage ${event.stage}`, event.title)
        for (const server of event.servers) section.line(server).show(server)
        return
      }
      case 'action-started':
        return current().line(event.server).begin(event.server, event.title)
      case 'action-done':
        return current().line(event.server).step(event.server, event.durationMs)
      case 'action-failed':
        return current().line(event.server).fail(`${event.server}: ${event.title}`, event.detail)
      case 'gate-waiting':
        return current().line(gateKey(event)).show(gateTitle(event), event.detail)
      case 'gate-passed':
        return current()
          .line(gateKey(event))
          .done(`${gateTitle(event)} (${formatMs(event.durationMs)})`)
      case 'gate-failed':
        return current().line(gateKey(event)).fail(gateTitle(event), event.detail)
      case 'restored':
        return current().line(`restored ${event.server} ${event.title}`).done(`${event.server}: restored: ${event.title}`)
      case 'drill-armed':
      case 'drill-disturbed':
      case 'drill-undone': {
        const title = event.kind === 'drill-undone' ? `undone: ${event.title}` : event.title
        return current().line(`${event.kind} ${event.server}`).done(title)
      }
      case 'drill-announced':
        // A drill may be run on several addresses, and more than once: each run is a section of its own.
        drills += 1
        return open(`drill ${drills}`, `drill ${event.drill} on ${event.vip}`)
          .line('announced')
          .done(`will ${event.title}; expected: ${event.expects}`)
      case 'drill-sample': {
        sample = event
        const section = current()
        for (const server of Object.keys(event.holds)) section.line(`server ${server}`).tell(renderServer(event, server))
        return section.line('probes').tell(renderProbes(event))
      }
      case 'drill-verdict': {
        const section = current()
        if (sample !== undefined) {
          for (const server of Object.keys(sample.holds)) section.line(`server ${server}`).done(renderServer(sample, server))
          section.line('probes').done(renderProbes(sample))
          sample = undefined
        }
        const line = section.line(`verdict ${event.drill} ${event.vip}`)
        const title = `${event.vip}: ${event.verdict}: ${event.title}`
        return event.verdict === 'passed' ? line.done(title) : line.fail(`${event.vip}: ${event.verdict}`, event.title)
      }
      case 'note':
      case 'warning': {
        const text = `${event.server === undefined ? '' : `${event.server}: `}${event.kind === 'warning' ? 'warning: ' : ''}${event.text}`
        return event.kind === 'warning' ? current().line(text).pass(text) : current().line(text).done(text)
      }
      case 'plan-ready':
      case 'lock-taken':
      case 'wave-started':
        return
    }
  }
}

const gateKey = (event: { readonly gate: string; readonly servers: readonly string[] }) => `gate ${event.gate} ${event.servers.join(',')}`
const gateTitle = (event: { readonly title: string; readonly servers: readonly string[] }) => `${event.servers.join(', ')}: ${event.title}`

interface Section {
  readonly key: string
  /** The line of that key, made where there is none. */
  readonly line: (key: string) => Line
  readonly close: (goesOn?: boolean) => void
}

interface Line {
  readonly isOpen: () => boolean
  /** Not ended yet; `now`, the current work, is shown beneath it. */
  readonly show: (title: string, now?: string) => void
  /** One of several steps has started; others may be running. */
  readonly begin: (title: string, now: string) => void
  /** Not ended yet, and nothing is left half done if the run ends here. */
  readonly tell: (title: string) => void
  /** One of several steps is done: the line goes on, and counts them. */
  readonly step: (title: string, durationMs: number) => void
  readonly done: (title: string) => void
  /** Ended, neither done nor failed: shown without a tick. */
  readonly pass: (title: string) => void
  readonly fail: (title: string, why: string) => void
  /** Ends the line in its present state. `goesOn`: its work continues. */
  readonly end: (goesOn?: boolean) => void
}

function createSection(key: string, branch: Branch): Section {
  const lines = new Map<string, Line>()
  return {
    key,
    line: name => {
      const known = lines.get(name)
      if (known?.isOpen() === true) return known
      const line = createLine(branch, name)
      lines.set(name, line)
      return line
    },
    close: goesOn => {
      for (const line of lines.values()) line.end(goesOn)
      branch.close()
    },
  }
}

function createLine(branch: Branch, name: string): Line {
  let wrapper: Wrapper | undefined
  let title = name
  let now: string | undefined
  let steps = 0
  let underWay = 0
  /** The time of the steps that ended. Steps that started together count once, by the longest: one apt-get installs several packages. */
  let workedMs = 0
  let longestMs = 0
  let state: 'idle' | 'working' | 'done' | 'passed' | 'failed' = 'idle'
  let goesOnBelow = false
  let ended = () => {}
  const end = new Promise<void>(resolve => (ended = resolve))
  let isAdded = false
  const draw = () => {
    if (wrapper === undefined) return
    wrapper.title = printable(title)
    wrapper.output = printable(state === 'failed' ? '' : (now ?? ''))
  }
  /** It is added only when it has a text: until listr2 draws it, it shows the text that it was added with. */
  const add = () => {
    isAdded = true
    branch.add({
      title: printable(title),
      task: async (_context, given) => {
        wrapper = given
        draw()
        await end
        if (state === 'failed') throw new Error(printable(now ?? ''))
        if (state === 'passed') given.skip(printable(title))
        if (state === 'idle') given.skip(printable(`${title}: nothing was done`))
        if (state === 'working' && now !== undefined) {
          given.skip(printable(goesOnBelow ? `${title}: ${now}, continues below` : `${title}: stopped: ${now}`))
        }
      },
    })
  }
  const become = (next: typeof state, text: string, doing?: string) => {
    state = next
    title = text
    now = doing
    if (!isAdded) add()
    draw()
    if (next !== 'idle' && next !== 'working') ended()
  }
  const counted = (text: string) => (steps === 0 ? text : `${text}: ${count(steps, 'step')} done (${formatMs(workedMs)})`)
  return {
    isOpen: () => state === 'idle' || state === 'working',
    show: (text, doing) => become(doing === undefined ? state : 'working', counted(text), doing),
    tell: text => become('working', text),
    begin: (text, doing) => {
      underWay += 1
      become('working', counted(text), doing)
    },
    step: (text, durationMs) => {
      steps += 1
      workedMs += Math.max(0, durationMs - longestMs)
      underWay = Math.max(0, underWay - 1)
      longestMs = underWay === 0 ? 0 : Math.max(longestMs, durationMs)
      become('working', counted(text))
    },
    done: text => become('done', text),
    pass: text => become('passed', text),
    fail: (text, why) => become('failed', text, why),
    end: goesOn => {
      goesOnBelow = goesOn === true
      ended()
    },
  }
}

/** A list that grows while it is drawn: its last task has no title and turns into what was added, and a new last task. */
interface Branch {
  readonly grow: Task
  readonly add: (task: Task) => void
  readonly close: () => void
}

function createBranch(): Branch {
  let added: Task[] = []
  let isClosed = false
  let wake = () => {}
  const grow: Task = {
    task: async (_context, wrapper) => {
      while (added.length === 0 && !isClosed) await new Promise<void>(resolve => (wake = resolve))
      if (added.length === 0) return
      const next = added
      added = []
      return wrapper.newListr([...next, grow], LIST)
    },
  }
  return {
    grow,
    add: task => {
      added.push(task)
      wake()
    },
    close: () => {
      isClosed = true
      wake()
    },
  }
}

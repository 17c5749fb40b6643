import type { StatusReport } from '../../app/status.ts'
import type { Command, CommandContext, Outcome } from '../command.ts'
import { runInput } from '../run-input.ts'
import { renderStatus, renderStatusProblems } from '../view/status.ts'

const WATCH_EVERY_MS = 2000
/** --watch is for what the running servers do: a dead server must not delay every look by 20 s. */
const WATCH_CONNECT_MS = 4000
const CLEAR_SCREEN = '\u001B[H\u001B[2J'

export const status: Command = async context => {
  const { app, flags, output, ports } = context
  const input = await runInput(context)
  if (!flags.on('watch')) {
    const report = await app.status(input, ports)
    show(context, report)
    return outcome(report)
  }
  const hurried = flags.number('timeout') === undefined ? { ...input, timeoutMs: WATCH_CONNECT_MS } : input
  for (;;) {
    const report = await app.status(hurried, ports)
    // An interrupted look would show servers as unreachable that are not.
    if (ports.signal.aborted) await ports.clock.sleep(0, ports.signal)
    if (output.json) output.object({ event: 'status', ...outcome(report).result })
    else {
      if (ports.terminal.stdoutIsTTY) ports.terminal.writeOut(CLEAR_SCREEN)
      show(context, report)
    }
    await ports.clock.sleep(WATCH_EVERY_MS, ports.signal)
  }
}

/** With --quiet there is no output for a healthy cluster: cron then mails problems only. */
function show({ output }: CommandContext, report: StatusReport): void {
  if (!output.quiet) return output.text(renderStatus(report, output.style))
  const problems = renderStatusProblems(report, output.style)
  if (problems.length > 0) output.important(problems.join('\n'))
}

function outcome(report: StatusReport): Outcome {
  const servers = report.servers.map(({ effectivePriority, drainsAtBoot, openConnections, ...server }) => ({
    ...server,
    effective_priority: effectivePriority,
    drains_at_boot: drainsAtBoot,
    open_connections: openConnections,
  }))
  const { vips, unseen, problems } = report
  return { exit: report.exit, result: { healthy: report.exit === 0, servers, vips, unseen, problems } }
}

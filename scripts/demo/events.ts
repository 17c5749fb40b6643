/** What the demo does to the server that holds the address. No I/O. */

export type Profile = 'classic' | 'fast'

export interface DemoEvent {
  readonly name: string
  /** hactl's words, one command after the other. */
  readonly commands: Readonly<Record<Profile, readonly (readonly string[])[]>>
}

const drill = (name: string) => [['verify-failover', '--drill', name, '--yes']]
const inBoth = (commands: DemoEvent['commands'][Profile]) => ({ classic: commands, fast: commands })

/** In this order: a drain waits until open connections can be kept, which takes some seconds after a deploy. */
export function eventsOn(server: string): readonly DemoEvent[] {
  return [
    {
      name: 'planned move, and back',
      // hactl refuses to drain a server with profile classic. The gentlest way there is to stop and start keepalived.
      commands: {
        classic: drill('keepalived-stop'),
        fast: [
          ['drain', server, '--yes'],
          ['undrain', server, '--yes'],
        ],
      },
    },
    { name: 'haproxy is stopped, and started', commands: inBoth(drill('haproxy-stop')) },
    { name: 'haproxy is killed', commands: inBoth(drill('haproxy-kill')) },
  ]
}

import type { CommandSpec, FlagSpec } from './command.ts'
import { SHELLS } from './completion.ts'
import { durationMs, nameList, oneOf, probeUrl, reportFile, unitDurationMs, waitMs, wholeNumber } from './flags.ts'

/** Flags that every command takes, before or after its name. */
export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { flags: '-i, --inventory <FILE>', about: 'the inventory (default: $HACTL_INVENTORY, then ./inventory.yml)', completes: 'file' },
  {
    flags: '-l, --limit <SERVER,...>',
    about: 'only these servers (not with verify-failover: a drill needs to see all)',
    repeat: true,
    parse: nameList,
    completes: 'server',
  },
  { flags: '-y, --yes', about: 'answer yes to every question' },
  { flags: '--json', about: 'one JSON object per line on stdout, the result last; text goes to stderr' },
  { flags: '-v, --verbose', about: 'print more: unchanged things, causes of errors' },
  { flags: '-q, --quiet', about: 'print only problems' },
  { flags: '--no-color', about: 'no colour (also: NO_COLOR in the environment)' },
  {
    flags: '--log <FILE>',
    about: 'append every command run on a server (default: one file a day under ~/.local/state/hactl/log)',
    completes: 'file',
  },
  { flags: '-K, --ask-become-pass', about: 'ask for the sudo password' },
  { flags: '--forks <N>', about: 'how many servers to work on at once', parse: wholeNumber(1, 64), fallback: '8' },
  {
    flags: '--timeout <S>',
    about:
      'how long connecting to one server may take: seconds, or with a unit (default: 20; with --watch 4); above 20, every command there gets more time',
    parse: durationMs,
  },
]

const INVENTORY = {
  name: 'INV',
  required: false,
  about: 'the inventory (default: -i, $HACTL_INVENTORY, ./inventory.yml)',
  completes: 'file',
} as const

const SERVER = {
  name: 'SERVER',
  required: true,
  about: 'a server of the inventory (-i, $HACTL_INVENTORY, ./inventory.yml)',
  completes: 'server',
} as const

const WAIT = '--wait <TIME>'

/** For a command that may end open connections. */
const FORCE_AFTER_WAIT: FlagSpec = { flags: '--force', about: 'with --wait: go on when the time is over, and end what is still open' }

/** For one that may take away what keeps them open. */
const WAIT_BEFORE_CHANGE: readonly FlagSpec[] = [
  { flags: WAIT, about: 'before a change that ends open connections, wait for them, at most this long (10m, 90s)', parse: waitMs },
  FORCE_AFTER_WAIT,
]

/** The command table: the parser, --help, completion and the README are made from it. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'setup',
    summary: 'ask a few questions and write an inventory',
    argument: { name: 'FILE', required: false, about: 'where to write it (default: inventory.yml)', completes: 'file' },
    flags: [
      { flags: '--server <NAME=HOST>', about: 'a server: name=host or name=user@host:port; the first is master', repeat: true },
      { flags: '--vip <ADDRESS/PREFIX>', about: 'a virtual address', repeat: true },
      { flags: '--interface <NAME>', about: 'the interface of the virtual address (default: found on each server)' },
      { flags: '--vrid <N>', about: "virtual_router_id (default: the virtual address's last part)", parse: wholeNumber(1, 255) },
      {
        flags: '--profile <NAME>',
        about: 'fast or classic (default: fast)',
        parse: oneOf(['fast', 'classic']),
        completes: ['fast', 'classic'],
      },
      { flags: '--cluster <NAME>', about: 'name of the cluster, in locks and reports' },
      { flags: '--config <FILE>', about: 'your own haproxy.cfg, relative to the inventory', completes: 'file' },
      { flags: '--backend <NAME=ADDRESS:PORT>', about: 'a server behind HAProxy, instead of --config', repeat: true },
      { flags: '--bind <ADDRESS:PORT>', about: 'where HAProxy listens (default: :80)', repeat: true },
      { flags: '--mode <MODE>', about: 'http or tcp (default: http)', parse: oneOf(['http', 'tcp']), completes: ['http', 'tcp'] },
      { flags: '--ssh-user <USER>', about: 'who to log in as (default: what OpenSSH would use)' },
      { flags: '--identity-file <FILE>', about: 'private key to log in with', completes: 'file' },
      {
        flags: '--known-hosts <FILE>',
        about: 'file with the host keys of the servers (default: what OpenSSH would use)',
        completes: 'file',
      },
      { flags: '--email <ADDRESS>', about: 'who keepalived mails about changes', repeat: true },
      { flags: '--force', about: 'overwrite the file if it exists' },
    ],
    examples: [
      'hactl setup',
      'hactl setup --yes --server srv-1=192.0.2.11 --server srv-2=192.0.2.12 --vip 192.0.2.200/24 --backend app-1=192.0.2.21:8080',
    ],
    load: async () => (await import('./commands/setup.ts')).setup,
  },
  {
    name: 'import',
    summary: 'read what runs on servers, and write the inventory for it',
    argument: { name: 'SERVER...', required: true, about: 'name=host or name=user@host:port, each', completes: [] },
    flags: [
      {
        flags: '--output <FILE>',
        about: 'where to write it (default: inventory.yml); the files that it names are written beside it',
        completes: 'file',
      },
      { flags: '--ssh-user <USER>', about: 'who to log in as (default: what OpenSSH would use)' },
      { flags: '--identity-file <FILE>', about: 'private key to log in with', completes: 'file' },
      {
        flags: '--known-hosts <FILE>',
        about: 'file with the host keys of the servers (default: what OpenSSH would use)',
        completes: 'file',
      },
      { flags: '--force', about: 'overwrite the files if they exist' },
    ],
    examples: [
      'hactl import srv-1=192.0.2.11 srv-2=192.0.2.12',
      'hactl import ops@lb1.example.com ops@lb2.example.com --output edge/inventory.yml',
    ],
    load: async () => (await import('./commands/import.ts')).importCommand,
  },
  {
    name: 'check',
    summary: 'check the inventory and show who becomes master when; no network without --servers',
    argument: INVENTORY,
    flags: [
      { flags: '--conf <FILE>', about: 'check an existing keepalived.conf instead', completes: 'file' },
      { flags: '--servers', about: 'connect, and check the servers too: everything that deploy checks before it changes anything' },
    ],
    examples: ['hactl check', 'hactl check --servers', 'hactl check --conf /etc/keepalived/keepalived.conf'],
    load: async () => (await import('./commands/check.ts')).check,
  },
  {
    name: 'plan',
    summary: 'show every change that deploy would make, and change nothing',
    argument: INVENTORY,
    flags: [{ flags: '--exit-code', about: 'exit 2 when there are changes' }],
    examples: ['hactl plan', 'hactl plan edge.yml --limit srv-2 --exit-code'],
    load: async () => (await import('./commands/plan.ts')).plan,
  },
  {
    name: 'deploy',
    summary: 'plan, ask, apply in a safe order, prove the result',
    argument: INVENTORY,
    flags: [
      { flags: '--adopt', about: 'adopt files that hactl did not make' },
      { flags: '--reload', about: 'reload the services even if nothing changed' },
      { flags: '--forget <SERVER,...>', about: 'former members that no longer exist', repeat: true, parse: nameList },
      ...WAIT_BEFORE_CHANGE,
    ],
    examples: ['hactl deploy', 'hactl deploy edge.yml --yes --json'],
    load: async () => (await import('./commands/deploy.ts')).deploy,
  },
  {
    name: 'status',
    summary: 'who holds which address, what is healthy, what has drifted',
    argument: INVENTORY,
    flags: [{ flags: '-w, --watch', about: 'refresh every 2 s until interrupted' }],
    examples: ['hactl status', 'hactl status --quiet || mail -s "edge" ops@example.com'],
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'verify-failover',
    summary: 'cause a failure, measure the failover, restore everything',
    argument: INVENTORY,
    flags: [
      { flags: '-d, --drill <NAME>', about: 'which failure (default: haproxy-stop)', repeat: true },
      { flags: '--all', about: 'every drill that kills or reboots no server' },
      { flags: '--destructive', about: 'with --all or --drill: also drills that kill or reboot a server' },
      {
        flags: '--max-outage <TIME>',
        about: 'longest outage that passes (default: the worst case of check + 10 %)',
        parse: unitDurationMs,
      },
      {
        flags: '--probe <URL>',
        about: "what to ask instead of the inventory's probe: a virtual address, or a name, which goes into the Host header",
        parse: probeUrl,
      },
      {
        flags: '--from <WHERE>',
        about: 'controller, or a server: where the probes come from (repeatable: the worst counts)',
        repeat: true,
      },
      {
        flags: '--report <FILE>',
        about: 'write a report: .html, .json, .xml (JUnit) or .md',
        repeat: true,
        parse: reportFile,
        completes: 'file',
      },
    ],
    examples: ['hactl verify-failover', 'hactl verify-failover edge.yml --all --yes --max-outage 3s --report failover.html'],
    load: async () => (await import('./commands/verify-failover.ts')).verifyFailover,
  },
  {
    name: 'history',
    summary: 'what was changed on the servers, when and by whom',
    argument: INVENTORY,
    flags: [],
    examples: ['hactl history', 'hactl history edge.yml --verbose'],
    load: async () => (await import('./commands/history.ts')).history,
  },
  {
    name: 'rollback',
    summary: 'restore the servers to their state after an earlier change',
    argument: {
      name: 'ID',
      required: false,
      about: 'a history entry, or the beginning of its id (default: the one before the newest)',
      completes: [],
    },
    flags: WAIT_BEFORE_CHANGE,
    examples: ['hactl rollback', 'hactl rollback 20261122T101500Z-1f3a2b -i edge.yml'],
    load: async () => (await import('./commands/rollback.ts')).rollback,
  },
  {
    name: 'upgrade',
    summary: 'install newer haproxy and keepalived packages, one server at a time, the holder drained first',
    argument: INVENTORY,
    flags: [
      {
        flags: WAIT,
        about: 'wait for open connections on each server before it is upgraded, at most this long (10m, 90s)',
        parse: waitMs,
      },
      FORCE_AFTER_WAIT,
    ],
    examples: ['hactl upgrade', 'hactl upgrade edge.yml --limit srv-3 --yes', 'hactl upgrade --wait 10m'],
    load: async () => (await import('./commands/upgrade.ts')).upgrade,
  },
  {
    name: 'remove',
    summary: 'remove what hactl put on the servers, and restore what it replaced',
    argument: INVENTORY,
    flags: WAIT_BEFORE_CHANGE,
    examples: ['hactl remove edge.yml', 'hactl remove edge.yml --limit srv-3 --yes'],
    load: async () => (await import('./commands/remove.ts')).remove,
  },
  {
    name: 'drain',
    summary: 'hand the addresses of a server over for maintenance, and measure the move',
    argument: SERVER,
    flags: [
      { flags: '--persist', about: 'drain it again at every boot, until hactl undrain' },
      { flags: '--force', about: 'even if no server is left to take over' },
      { flags: WAIT, about: 'then wait until no connection is open there, at most this long (10m, 90s)', parse: waitMs },
    ],
    examples: ['hactl drain srv-1', 'hactl drain srv-1 --wait 10m', 'hactl drain srv-1 -i edge.yml --persist --yes'],
    load: async () => (await import('./commands/drain.ts')).drain,
  },
  {
    name: 'undrain',
    summary: 'give a drained server its priority back, and measure the move',
    argument: SERVER,
    flags: [],
    examples: ['hactl undrain srv-1'],
    load: async () => (await import('./commands/undrain.ts')).undrain,
  },
  {
    name: 'unlock',
    summary: 'release the lock that a dead run left behind',
    argument: INVENTORY,
    flags: [{ flags: '--force', about: 'also a lock whose owner still seems alive' }],
    examples: ['hactl unlock'],
    load: async () => (await import('./commands/unlock.ts')).unlock,
  },
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    argument: { name: 'SHELL', required: true, about: SHELLS.join(', '), completes: SHELLS },
    flags: [],
    examples: ['source <(hactl completion bash)', 'hactl completion fish > ~/.config/fish/completions/hactl.fish'],
    load: async () => (await import('./commands/completion.ts')).completion,
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of the inventory, for editors',
    flags: [],
    examples: ['hactl schema > inventory.schema.json'],
    load: async () => (await import('./commands/schema.ts')).schema,
  },
]

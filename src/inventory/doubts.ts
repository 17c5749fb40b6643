/** What works but may surprise: one function per warning, over all parts of the file that are valid by themselves. */
import { familyOf } from './address.ts'
import type { InventoryDraft } from './draft.ts'
import type { Finding } from './findings.ts'
import { AUTH_PASS_BYTES } from './grammar.ts'
import { repeated } from './repeated.ts'
import type { Rule } from './rules.ts'
import { instancesOf } from './vrrp-rules.ts'
import type { YamlPath } from '../yaml.ts'

export const DOUBTS: readonly Rule[] = [
  secretsAreOutsideTheFile,
  authPassIsShort,
  becomePasswordIsUsed,
  prioritiesDiffer,
  routerIdIsUncommon,
  mailGoesSomewhere,
  smtpServerIsAnAddress,
  frontendsLeadSomewhere,
  bindsAreUnique,
]

type SecretDraft = string | { readonly literal?: string | undefined } | Readonly<Record<string, string | undefined>> | undefined

function literalOf(secret: SecretDraft): string | undefined {
  return typeof secret === 'object' ? secret['literal'] : secret
}

function authPassesOf(inventory: InventoryDraft): readonly { readonly secret: SecretDraft; readonly path: YamlPath }[] {
  return instancesOf(inventory).map(({ instance, path }) => ({
    secret: instance.authentication?.auth_pass,
    path: [...path, 'authentication', 'auth_pass'],
  }))
}

function becomePasswordsOf(
  inventory: InventoryDraft,
): readonly { readonly secret: SecretDraft; readonly path: YamlPath; become: boolean }[] {
  const become = inventory.become ?? true
  return [
    { secret: inventory.become_password, path: ['become_password'], become },
    ...(inventory.servers ?? []).map((server, at) => ({
      secret: server?.become_password,
      path: ['servers', at, 'become_password'],
      become: server?.become ?? become,
    })),
  ]
}

function secretsAreOutsideTheFile(inventory: InventoryDraft): readonly Finding[] {
  return [...authPassesOf(inventory), ...becomePasswordsOf(inventory)]
    .filter(({ secret }) => literalOf(secret) !== undefined)
    .map(({ path }) => ({
      path,
      message: 'the secret is in the file itself: whoever reads the inventory has it',
      fix: 'write { env: NAME }, { file: PATH } or { command: "..." }',
    }))
}

function authPassIsShort(inventory: InventoryDraft): readonly Finding[] {
  return authPassesOf(inventory).flatMap(({ secret, path }) => {
    const doubt = authPassDoubt(literalOf(secret) ?? '')
    return doubt === undefined ? [] : [{ path, message: doubt, fix: `use a password of at most ${AUTH_PASS_BYTES} characters` }]
  })
}

/** What keepalived does to a VRRP password that is too long. A secret from elsewhere is judged once its value is known. */
export function authPassDoubt(value: string): string | undefined {
  if (value.length <= AUTH_PASS_BYTES) return undefined
  return `keepalived takes the first ${AUTH_PASS_BYTES} characters of the password and ignores the rest`
}

function becomePasswordIsUsed(inventory: InventoryDraft): readonly Finding[] {
  return becomePasswordsOf(inventory)
    .filter(({ secret, become }) => secret !== undefined && !become)
    .map(({ path }) => ({ path, part: 'key', message: 'is never used: become is false', fix: 'remove it, or set become: true' }))
}

/** Two servers of one priority that lose the master at the same time are both master for a moment (keepalived: the higher address wins). */
function prioritiesDiffer(inventory: InventoryDraft): readonly Finding[] {
  return instancesOf(inventory).flatMap(({ instance, path }) =>
    repeated(
      Object.entries(instance.priority ?? {}).map(([name, value]) => ({
        value: value === undefined ? undefined : String(value),
        path: [...path, 'priority', name],
      })),
      (first, again) => `${again.value} is the priority of ${String(first.path.at(-1))} too: both may become master at once`,
      'give each server a priority of its own',
    ),
  )
}

function routerIdIsUncommon(inventory: InventoryDraft): readonly Finding[] {
  return instancesOf(inventory)
    .filter(({ instance }) => instance.virtual_router_id === 51)
    .map(({ path }) => ({
      path: [...path, 'virtual_router_id'],
      message: '51 is the number in most examples, so another cluster on this network may have it',
      fix: 'choose another number from 1 to 255',
    }))
}

function mailGoesSomewhere(inventory: InventoryDraft): readonly Finding[] {
  const globalDefs = inventory.global_defs
  if (globalDefs === undefined) return []
  const has = (key: keyof typeof globalDefs) => Object.hasOwn(globalDefs, key)
  if (has('notification_email') && !has('smtp_server')) {
    return [
      {
        path: ['global_defs', 'notification_email'],
        part: 'key',
        message: 'no mail is sent: keepalived knows no mail server unless one is named',
        fix: 'set smtp_server, or remove notification_email',
      },
    ]
  }
  if (has('smtp_server') && !has('notification_email')) {
    return [
      {
        path: ['global_defs', 'smtp_server'],
        part: 'key',
        message: 'no mail is sent: there is no notification_email',
        fix: 'set notification_email, or remove smtp_server',
      },
    ]
  }
  return []
}

/** keepalived resolves names while it reads its configuration and sends no adverts meanwhile; two masters for 2.5 s (evidence K11). */
function smtpServerIsAnAddress(inventory: InventoryDraft): readonly Finding[] {
  const host = inventory.global_defs?.smtp_server?.split(' ')[0]
  if (host === undefined || host === 'localhost' || familyOf(host) !== undefined) return []
  return [
    {
      path: ['global_defs', 'smtp_server'],
      message: `keepalived asks DNS for ${host} at every reload, and sends no adverts until it answers: a slow DNS moves the address`,
      fix: 'write its IP address',
    },
  ]
}

function frontendsLeadSomewhere(inventory: InventoryDraft): readonly Finding[] {
  return (inventory.haproxy?.frontends ?? []).flatMap((frontend, at) =>
    frontend === undefined || Object.hasOwn(frontend, 'default_backend') || Object.hasOwn(frontend, 'lines')
      ? []
      : [{ path: ['haproxy', 'frontends', at], message: 'leads to no backend', fix: 'set default_backend, or add use_backend to lines' }],
  )
}

/** HAProxy opens each bind with SO_REUSEPORT: the kernel then distributes connections among equal binds. */
function bindsAreUnique(inventory: InventoryDraft): readonly Finding[] {
  const binds = (inventory.haproxy?.frontends ?? []).flatMap((frontend, at) =>
    (frontend?.bind ?? []).flatMap((bind, i) =>
      (bind?.split(' ')[0] ?? '').split(',').map(address => ({
        value: address === '' ? undefined : address,
        as: address.replace(/^ipv4@/, '').replace(/^(\*|0\.0\.0\.0):/, ':'),
        path: ['haproxy', 'frontends', at, 'bind', i],
      })),
    ),
  )
  return repeated(
    binds,
    (first, again) => `${again.value} is already bound by number ${Number(first.path[2]) + 1}: connections go to either`,
    'bind it once',
  )
}

/**
 * What an existing keepalived.conf does to failover, as far as one file shows: peers' files may differ.
 * Errors are for what keepalived refuses, for what it ignores so that there is no failover, and for what can never fail over. The rest
 * are warnings. The rules rest on evidence V2 to V11, V14, K1 to K14, and H1.
 */
import type { Issue } from '../../inventory/inventory.ts'
import { canonicalAddress } from '../addresses.ts'
import { TRACK_DIR } from '../paths.ts'
import { instanceRules } from './lint-instance.ts'
import type { Finding, LintContext } from './lint-context.ts'
import { contextOf } from './lint-context.ts'
import { child, valueOf } from './parse.ts'

function globalRules(context: LintContext): readonly Finding[] {
  const found: Finding[] = []
  const { conf, global, instances, scripts } = context
  for (const problem of conf.problems)
    found.push({
      error: true,
      path: '',
      line: problem.line,
      message: problem.message,
      fix: 'keepalived reads something other than you see: fix it first',
    })
  for (const include of conf.includes) {
    found.push({
      path: 'include',
      line: include.line,
      message: `${include.path} is not read here: what it sets is not checked`,
      fix: 'lint the file with everything in it',
    })
  }
  if (instances.length === 0 && conf.includes.length === 0)
    found.push({
      error: true,
      path: '',
      line: 1,
      message: 'there is no vrrp_instance: no address ever moves',
      fix: 'add a vrrp_instance with virtual_ipaddress',
    })
  const strict = global('vrrp_strict')
  if (strict !== undefined) {
    found.push({
      path: 'global_defs.vrrp_strict',
      line: strict.line,
      message: 'drops packets to the virtual address, and forbids unicast and authentication: the address moves and answers nobody',
      fix: 'remove vrrp_strict',
    })
  }
  const smtp = global('smtp_server')
  if (smtp?.words[1] !== undefined && canonicalAddress(smtp.words[1]) === undefined) {
    found.push({
      path: 'global_defs.smtp_server',
      line: smtp.line,
      message: `keepalived stops sending adverts while it looks up ${smtp.words[1]}: where DNS is slow, two servers hold the address after a reload`,
      fix: 'write an address: 127.0.0.1 for the server itself',
    })
  }
  const mail = global('notification_email')
  if (
    mail !== undefined &&
    global('smtp_alert') === undefined &&
    global('smtp_alert_vrrp') === undefined &&
    !instances.some(i => valueOf(i.node, 'smtp_alert') !== undefined || i.has('smtp_alert'))
  )
    found.push({
      path: 'global_defs.notification_email',
      line: mail.line,
      message: 'no mail is ever sent about a failover: smtp_alert is off',
      fix: 'add smtp_alert to the vrrp_instance',
    })
  if (scripts.length > 0 && global('enable_script_security') === undefined) {
    found.push({
      path: 'global_defs.enable_script_security',
      line: scripts[0]?.node.line ?? 1,
      message:
        'scripts run as root although others may be able to change them; keepalived -t exits 6 for this and hides real errors behind it',
      fix: 'add enable_script_security and script_user to global_defs',
    })
  } else if (scripts.length > 0 && global('script_user') === undefined && scripts.some(s => valueOf(s.node, 'user') === undefined)) {
    found.push({
      error: true,
      path: 'global_defs.script_user',
      line: scripts[0]?.node.line ?? 1,
      message:
        'enable_script_security without script_user: Debian and Ubuntu have no user keepalived_script, so keepalived drops the checks',
      fix: 'add script_user root (or a user that may run the script)',
    })
  }
  return found
}

function scriptRules({ scripts, instances }: LintContext): readonly Finding[] {
  const found: Finding[] = []
  const tracked = new Set(instances.flatMap(i => i.trackers.filter(t => t.kind === 'script').map(t => t.name)))
  for (const { name, node, command, weight } of scripts) {
    const path = `vrrp_script ${name}`
    const say = (key: string, message: string, fix: string): void => {
      found.push({ path: `${path}.${key}`, line: node.children?.find(n => n.words[0] === key)?.line ?? node.line, message, fix })
    }
    const [program = '', ...rest] = command.split(/\s+/)
    if (command === '')
      found.push({ error: true, path, line: node.line, message: 'has no script: keepalived drops it', fix: 'add script "/absolute/path"' })
    else if (/^(\/(usr\/)?bin\/)?(ba|da)?sh$/.test(program))
      say(
        'script',
        `keepalived looks at ${program} only: where ${rest[0] ?? 'the file'} is missing or unreadable, keepalived reports nothing and the check fails`,
        `make ${rest[0] ?? 'the file'} executable and name it by its absolute path`,
      )
    else if (!program.startsWith('/')) say('script', `${program} is looked up in keepalived's own PATH`, 'name it by its absolute path')
    if (/\b(pidof|pgrep|killall)\b/.test(command))
      say(
        'script',
        'sees only whether a process exists: a hung haproxy keeps the address forever',
        'ask haproxy itself, on a loopback port or its socket',
      )
    if (weight === undefined)
      say(
        'weight',
        'no weight: the default is 0, a failed check gives the address up at once (older manuals say otherwise)',
        'write the weight that you mean',
      )
    const interval = Number(valueOf(node, 'interval') ?? 1)
    const timeout = Number(valueOf(node, 'timeout') ?? interval)
    if (timeout > interval)
      say(
        'timeout',
        `longer than the interval (${interval} s): keepalived 2.1 to 2.3.1 start the check again while it runs`,
        `set timeout to ${interval} or less`,
      )
    for (const key of ['interval', 'timeout']) {
      const value = valueOf(node, key)
      if (value !== undefined && !/^\d+$/.test(value))
        say(key, `keepalived before 2.3.2 ignores ${value} and takes 1 s`, 'write whole seconds')
    }
    if (!tracked.has(name))
      found.push({
        path,
        line: node.line,
        message: 'is tracked by no vrrp_instance: it never runs',
        fix: `add ${name} to track_script of the instance`,
      })
  }
  return found
}

function fileRules({ files }: LintContext): readonly Finding[] {
  return files.flatMap(({ name, node, weight }) => {
    const found: Finding[] = []
    const file = valueOf(node, 'file') ?? ''
    if (weight === undefined)
      found.push({
        path: `track_file ${name}.weight`,
        line: node.line,
        message: 'no weight: the default is 1, the value is added to the priority instead of failing the server',
        fix: 'write the weight that you mean (0: any value but 0 is a failure)',
      })
    const init = child(node, 'init_file')
    if (init !== undefined && !init.words.includes('overwrite'))
      found.push({
        path: `track_file ${name}.init_file`,
        line: init.line,
        message: `keepalived 2.2.8 to 2.3.2 overwrite ${file || 'the file'} with it at every start, although it exists`,
        fix: 'remove init_file, and make the file before keepalived starts (tmpfiles.d, or ExecStartPre of keepalived.service)',
      })
    // hactl ships the file that makes its own folder.
    if (/^(\/var)?\/run\/[^/]+\//.test(file) && !file.startsWith(`${TRACK_DIR}/`))
      found.push({
        path: `track_file ${name}.file`,
        line: node.line,
        message: `${file}: /run is empty after a boot, and keepalived drops a tracker whose folder is missing`,
        fix: 'make the folder with tmpfiles.d',
      })
    return found
  })
}

/** Two instances that keepalived takes for one, and members of a sync group, whose weighted trackers it drops. */
function groupRules({ conf, instances, global }: LintContext): readonly Finding[] {
  const found: Finding[] = []
  instances.forEach((instance, at) => {
    const earlier = instances.slice(0, at).find(i => i.identity === instance.identity)
    if (earlier !== undefined)
      found.push({
        error: true,
        path: `${instance.path}.virtual_router_id`,
        line: instance.node.line,
        message: `${earlier.name} has the same number on the same interface: keepalived refuses it`,
        fix: 'give each instance its own',
      })
  })
  for (const group of conf.nodes.filter(n => n.words[0] === 'vrrp_sync_group')) {
    if (
      group.children?.some(n => n.words[0] === 'sync_group_tracking_weight') === true ||
      global('sync_group_tracking_weight') !== undefined
    )
      continue
    const members = new Set(
      group.children
        ?.filter(n => n.words[0] === 'group')
        .flatMap(n => n.children ?? [])
        .map(n => n.words[0]),
    )
    for (const instance of instances.filter(i => members.has(i.name))) {
      for (const tracker of instance.trackers.filter(t => t.weight !== 0)) {
        found.push({
          error: true,
          path: `${instance.path}.track_${tracker.kind}`,
          line: tracker.line,
          message: `keepalived drops ${tracker.name}, whose weight is not 0, because ${instance.name} is in a sync group: a failed check moves nothing`,
          fix: 'set its weight to 0',
        })
      }
    }
  }
  return found
}

/** Judges a file as it stands; never throws. */
export function lintKeepalivedConf(text: string): { readonly errors: readonly Issue[]; readonly warnings: readonly Issue[] } {
  const context = contextOf(text)
  const found = [
    ...globalRules(context),
    ...scriptRules(context),
    ...fileRules(context),
    ...groupRules(context),
    ...context.instances.flatMap(instance => instanceRules(context, instance)),
  ].toSorted((a, b) => a.line - b.line)
  const issue = ({ path, message, fix, line }: Finding): Issue => ({ path, message, fix, line })
  return { errors: found.filter(f => f.error === true).map(issue), warnings: found.filter(f => f.error !== true).map(issue) }
}

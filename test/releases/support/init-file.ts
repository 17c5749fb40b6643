/**
 * What differs with init_file: keepalived 2.2.8 to 2.3.2 on any release of the lab, and a cluster that hactl deployed when it still used
 * init_file.
 */
import { type Lab, SERVERS } from '../../e2e/support/lab.ts'

const WRITER = '/usr/local/sbin/e2e-init-file'
const VENDOR = '/usr/lib/systemd/system/keepalived.service.d'
const DROPIN = `${VENDOR}/zz-e2e-init-file.conf`

const PROGRAM = `#!/bin/sh
awk '
  $1 == "track_file" || $1 == "vrrp_track_file" { file = ""; has_init = 0 }
  $1 == "file" { gsub(/"/, "", $2); file = $2 }
  $1 == "init_file" { has_init = 1; value = $2 == "" ? 0 : $2 }
  $1 == "}" { if (has_init && file != "") print file, value; file = ""; has_init = 0 }
' /etc/keepalived/keepalived.conf | while read -r file value; do echo "$value" >"$file"; done
`

// Its name puts it after hactl's own drop-in, as the daemon comes after every ExecStartPre.
const UNIT = `[Service]
ExecStartPre=-${WRITER}
`

const fileLine = (path: string, text: string) => `cat >${path} <<'E2E'\n${text}E2E\n`

/**
 * From now on every keepalived of the lab does as 2.2.8 to 2.3.2: at each start it writes init_file's value into whatever track file the
 * keepalived.conf of that moment names so, whether the file exists or not (keepalived commit 516032ec).
 */
export async function installInitFileWriter(lab: Lab): Promise<void> {
  await lab.everywhere(
    `mkdir -p ${VENDOR}\n${fileLine(WRITER, PROGRAM)}chmod 0755 ${WRITER}\n${fileLine(DROPIN, UNIT)}systemctl daemon-reload`,
  )
}

export async function removeInitFileWriter(lab: Lab): Promise<void> {
  await lab.everywhere(`rm -f ${WRITER} ${DROPIN}; systemctl daemon-reload`)
}

const CONF = '/etc/keepalived/keepalived.conf'
const UNIT_OF_HACTL = '/etc/systemd/system/keepalived.service.d/hactl.conf'
const TMPFILES = '/etc/tmpfiles.d/hactl.conf'

// As it was rendered then (fixtures/rendered/smallest of that version).
const START_PRE_THEN = `ExecStartPre=-/bin/sh -c "mkdir -p -m 0755 /run/hactl; echo 0 > /run/hactl/.keepalived_offset.$$$$ && mv -f /run/hactl/.keepalived_offset.$$$$ /run/hactl/keepalived_offset; \\
    if [ ! -e /run/hactl/haproxy_down ] && systemctl --quiet is-active haproxy.service; then echo 0 > /run/hactl/.haproxy_down.$$$$ && mv -f /run/hactl/.haproxy_down.$$$$ /run/hactl/haproxy_down; fi"
`

/** Replaces the lines of a deployed server that have changed since, in the files, in what hactl knows of them and in its newest record. */
const AS_DEPLOYED_THEN = `
set -e
rewrite() { awk "$1" $2 >$2.e2e && cat $2.e2e >$2 && rm $2.e2e; }
rewrite '
  { print }
  $1 == "file" { value = $2 ~ /haproxy_down/ ? 1 : 0 }
  $1 == "weight" && value != "" { print "    init_file " value; value = "" }' ${CONF}
${fileLine('/root/e2e-start-pre', START_PRE_THEN)}
rewrite '
  /^ExecStartPre=/ { while ((getline line <"/root/e2e-start-pre") > 0) print line; skips = 1 }
  skips { if ($0 !~ /[\\\\]$/) skips = 0; next }
  { print }' ${UNIT_OF_HACTL}
rewrite '!/^f!/' ${TMPFILES}
rm /root/e2e-start-pre
cd /var/lib/hactl
newest=$(ls -d history/* | sort | tail -n 1)
for path in ${CONF} ${UNIT_OF_HACTL} ${TMPFILES}; do
  sum=$(sha256sum "$path" | cut -d ' ' -f 1)
  sed -i "s,^[0-9a-f]*  $path\\$,$sum  $path," owned "$newest/sums"
  cp "$path" "$newest/files/$(awk -v path="$path" '$5 == path { print $4 }' "$newest/manifest")"
  if [ "$path" = ${CONF} ]; then echo "$sum" >loaded/keepalived; fi
done
[ "$(grep -c init_file ${CONF})" = 4 ]
systemctl daemon-reload
systemctl reload keepalived`

/** A cluster that the version with init_file has deployed, out of one that is deployed now. */
export async function makeAsDeployedThen(lab: Lab): Promise<void> {
  for (const server of SERVERS) await lab.sh(server, AS_DEPLOYED_THEN)
}

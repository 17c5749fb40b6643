/** What the operator may conclude about the servers from an exit status. --help and docs/exit-statuses.md show this table. */
export const EXIT_STATUSES: readonly { readonly exit: number; readonly meaning: string }[] = [
  { exit: 0, meaning: 'done, or nothing to do' },
  { exit: 1, meaning: 'a fault in hactl itself, or its output or a report could not be written' },
  { exit: 2, meaning: 'plan --exit-code: there are changes pending' },
  { exit: 3, meaning: 'input refused; no server was contacted' },
  { exit: 4, meaning: 'could not log in (unreachable, refused, host key, sudo); nothing was changed' },
  {
    exit: 5,
    meaning:
      'a server is not suitable, the cluster is not healthy, or it is locked; nothing was changed (or one drill of several was refused, and the others were run and undone)',
  },
  { exit: 6, meaning: 'stopped part way; the report says what was changed where' },
  { exit: 7, meaning: 'failover did not work as expected; the service was restored' },
  { exit: 8, meaning: 'needs manual action: something could not be undone; the error names the server and the command to run' },
  { exit: 9, meaning: 'connections were still open when the time of --wait was over; none was cut' },
  { exit: 130, meaning: 'interrupted by SIGINT; what was unfinished was undone' },
  { exit: 143, meaning: 'interrupted by SIGTERM; what was unfinished was undone' },
]

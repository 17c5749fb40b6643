import type { Action } from '../../state/plan.ts'

/** What is being done to what, in the operator's words. */
export function actionTitle(action: Action): string {
  switch (action.kind) {
    case 'install-package':
      if (action.from !== undefined) return `replace ${action.name} ${action.from} with ${action.version ?? 'another'}`
      return `install ${action.name}${action.version === undefined ? '' : ` ${action.version}`}`
    case 'write-file':
      return `write ${action.path}`
    case 'own-file':
      return `record ${action.path} as hactl's own`
    case 'remove-file':
      return `remove ${action.path}`
    case 'set-sysctl':
      return `set ${action.key} = ${action.value}`
    case 'open-tool':
      return action.title
    case 'service': {
      const verbs = action.steps.filter(step => step !== 'stamp' && step !== 'daemon-reload' && step !== 'start-companion')
      const parts = [
        ...(verbs.length === 0 ? [] : [`${verbs.join(' and ')} ${action.unit}`]),
        ...(action.steps.includes('start-companion') ? [`start ${action.companion ?? ''}`] : []),
      ]
      return parts.length === 0 ? `record what ${action.unit} runs` : parts.join(' and ')
    }
  }
}

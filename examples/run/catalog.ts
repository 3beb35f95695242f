/** The examples that `npm run example` knows. Each has a port of its own, so that none sees the storage of another. */
export interface Example {
  name: string
  httpPort: number
  /** A module of the build that feeds it with records, in a thread of its own. */
  feeder?: string
}

export const EXAMPLES: readonly Example[] = [
  { name: 'field-notes', httpPort: 8093 },
  { name: 'editor', httpPort: 8094 },
  { name: 'dashboard', httpPort: 8095, feeder: 'dashboard-feeder' },
]

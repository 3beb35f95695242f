/** `ottla user …`: users that sign in with SCRAM. */
import type { ScramAlteration, ScramMechanism } from '../client/node.ts'
import { EXIT_FAILURE, EXIT_OK, type Invocation, numberFlag, textFlag, UsageError } from './command.ts'
import { linesOf, openInput } from './input-lines.ts'
import { table } from './output.ts'
import { withRelay } from './relay-connection.ts'

/** A user signs in by either. */
const MECHANISMS: readonly ScramMechanism[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512']

export async function listUsers(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const users = await withRelay(invocation, ({ admin }) => admin.describeUserScramCredentials())
  if (json) await output.json(users)
  else if (users.length === 0) output.note('No users have been made.')
  else {
    const rows = users.map(({ user, credentials }) => [
      user,
      credentials.map(({ mechanism, iterations }) => `${mechanism} (${iterations})`).join(', '),
    ])
    await output.write(table(['USER', 'SIGNS IN BY'], rows))
  }
  return EXIT_OK
}

export async function addUser(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const user = positionals[0]!
  const iterations = numberFlag(invocation, 'iterations', { min: 4096, max: 16_384 })
  const password = await newPassword(invocation)
  const alterations = MECHANISMS.map((mechanism): ScramAlteration => ({ user, mechanism, password, iterations }))
  await withRelay(invocation, ({ admin }) => admin.alterUserScramCredentials(alterations))
  if (json) await output.json({ user, mechanisms: MECHANISMS })
  else await output.line(`${user} may sign in by ${MECHANISMS.join(' and ')}`)
  return EXIT_OK
}

export async function removeUsers(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const names = [...new Set(positionals)]
  const outcomes = await withRelay(invocation, async ({ admin }) => {
    const found = await admin.describeUserScramCredentials(names).settled()
    const removals = found.flatMap(({ value }) =>
      (value?.credentials ?? []).flatMap(({ mechanism }) =>
        mechanism === 'unknown' ? [] : [{ user: value!.user, mechanism, remove: true } as const],
      ),
    )
    const removed = await admin.alterUserScramCredentials(removals).settled()
    return names.map((name) => ({
      user: name,
      error: found.find(({ entry }) => entry === name)?.error ?? removed.find(({ entry }) => entry === name)?.error,
    }))
  })
  if (json) await output.json(outcomes.map(({ user, error }) => ({ user, ...(error && { error: error.message }) })))
  for (const { user, error } of outcomes) {
    if (error) output.note(`ottla: ${user}: ${error.message}`)
    else if (!json) await output.line(`${user} was removed`)
  }
  return outcomes.some(({ error }) => error) ? EXIT_FAILURE : EXIT_OK
}

async function newPassword(invocation: Invocation): Promise<string> {
  const path = textFlag(invocation, 'new-password-file')
  const input = openInput(path)
  if (input === process.stdin && process.stdin.isTTY)
    throw new UsageError('the password is read from standard input, or from --new-password-file')
  for await (const lines of linesOf(input, invocation.signal)) {
    input.destroy()
    if (lines[0]) return lines[0]
  }
  throw new UsageError('the password is empty')
}

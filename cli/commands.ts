/**
 * The table of all commands. Each one's flags stand beside its code; only the serve options come from the
 * relay's own configuration table.
 */

import { backupCommands } from './backup-commands.ts'
import { clusterCommands } from './cluster-commands.ts'
import type { Command } from './command.ts'
import { consumeCommand } from './consume-command.ts'
import { deadLetterCommands } from './dead-letter-commands.ts'
import { dumpCommand } from './dump-command.ts'
import { groupCommands } from './group-commands.ts'
import { produceCommand } from './produce-command.ts'
import { serveCommand } from './serve-command.ts'
import { topicCommands } from './topic-commands.ts'
import { userCommands } from './user-commands.ts'
import { verifyCommand } from './verify-command.ts'

export const commands: readonly Command[] = [
  serveCommand,
  ...topicCommands,
  ...groupCommands,
  ...deadLetterCommands,
  ...clusterCommands,
  ...userCommands,
  produceCommand,
  consumeCommand,
  verifyCommand,
  dumpCommand,
  ...backupCommands,
]

/** `npm start`. */

import { runProgram } from '../../cli/program.ts'
import { demoCommand } from './demo-command.ts'

await runProgram([demoCommand], ['demo', ...process.argv.slice(2)])

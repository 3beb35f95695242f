/** `npm run example`. */

import { runProgram } from '../../cli/program.ts'
import { exampleCommand } from './example-command.ts'

await runProgram([exampleCommand], ['example', ...process.argv.slice(2)])

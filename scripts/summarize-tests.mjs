/**
 * Ends a check run: `node scripts/summarize-tests.mjs REPORT STEPS_FAILED`.
 *
 * Prints `N passed, N failed` as the last line. Steps that failed (lint, types, the test run itself) fail the whole
 * even when every test passed, and so do zero tests: silence must never look like success.
 */

import { readFileSync } from 'node:fs'

const [reportPath, stepsFailedText = '0'] = process.argv.slice(2)
const stepsFailed = Number(stepsFailedText)

let passed = 0
let failed = 0
try {
  const report = JSON.parse(readFileSync(reportPath, 'utf8'))
  passed = report.numPassedTests
  // A file that breaks before its first test has no failed test, only a failed suite.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  )
  failed = report.numFailedTests + brokenFiles.length
} catch (error) {
  console.log(`no test report: ${error.message}`)
}

if (stepsFailed > 0) console.log(`${stepsFailed} step(s) failed`)
if (passed + failed === 0) console.log('no tests ran')
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = stepsFailed > 0 || failed > 0 || passed === 0 ? 1 : 0

import { describeEngine } from './behaviours.ts'

describeEngine('chromium')

import { describeEngine } from './behaviours.ts'

describeEngine('firefox')

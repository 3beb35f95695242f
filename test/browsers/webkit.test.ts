import { describeEngine } from './behaviours.ts'

describeEngine('webkit')

import { describeApplications } from './applications.ts'
import { describeEngine } from './behaviours.ts'

describeEngine('firefox')
describeApplications('firefox')

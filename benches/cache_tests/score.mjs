// Scores the results of one run by the suite's own rules, dependencies included, and prints
// a JSON array of {suite, id, kind, verdict, name, detail}.
//
//   node score.mjs SUITE RESULTS

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, file] = process.argv.slice(2)
const load = path => import(pathToFileURL(resolve(folder, path)))

const { default: suites } = await load('tests/index.mjs')
const { determineTestResult, resultTypes } = await load('test-engine/lib/results.mjs')
const results = JSON.parse(readFileSync(file, 'utf8'))

const names = new Map(Object.entries(resultTypes).map(([name, type]) => [type, name]))
const rows = suites.flatMap(suite => suite.tests
  .filter(test => !test.browser_only)
  .map(test => {
    const result = results[test.id]
    return {
      suite: suite.id,
      id: test.id,
      kind: test.kind ?? 'required',
      verdict: names.get(determineTestResult(suites, test.id, results)),
      name: test.name,
      detail: Array.isArray(result) ? result.join(': ') : ''
    }
  }))
console.log(JSON.stringify(rows))

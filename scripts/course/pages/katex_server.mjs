// Renders formulas: one JSON request per line on stdin ({tex, display}), one JSON answer per line ({html} or {error}).
import { createInterface } from "node:readline"
import katex from "katex"

// Vietnamese letters inside \text{} are fine; everything else that strict mode knows is an error.
const allowed = new Set(["unicodeTextInMathMode", "unknownSymbol", "symbolNotInFont"])

for await (const line of createInterface({ input: process.stdin })) {
  const { tex, display } = JSON.parse(line)
  let answer
  try {
    const html = katex.renderToString(tex, {
      displayMode: display,
      output: "htmlAndMathml",
      throwOnError: true,
      trust: ({ command }) => { throw new Error(`${command} is not allowed`) },
      strict: code => (allowed.has(code) ? "ignore" : "error"),
    })
    answer = { html }
  } catch (error) {
    answer = { error: String(error.message ?? error) }
  }
  process.stdout.write(JSON.stringify(answer) + "\n")
}

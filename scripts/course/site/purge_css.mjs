// Prints a stylesheet without the rules that no page and no script of a built site can use.
// node purge_css.mjs SITE STYLESHEET
import { PurgeCSS } from "purgecss"

const [site, css] = process.argv.slice(2)
const [sheet] = await new PurgeCSS().purge({
  content: [`${site}/**/*.html`, `${site}/assets/**/*.js`],
  css: [css],
  // Class names of the theme hold `:` and `/` nowhere; its scripts name classes inside longer strings.
  defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
})
process.stdout.write(sheet.css)

/* The site's search, in a worker. README.md, beside this file, tells how a question is answered.
 *
 * It speaks the theme's protocol and takes the place of the theme's worker, which needs the text of
 * the whole site before the first letter is typed. */

// The theme's messages
const SETUP = 0
const READY = 1
const QUERY = 2
const RESULT = 3

/* Constants. Weights are parts of 1, which is what a word counts that stands in the text of a
 * section as it was typed. Those under a title with * were tuned by hand on set A of
 * tests/course/queries.yml; how much each matters is told in README.md. */

// Downloads
const CANDIDATES = 8 // pages whose text is looked at: with search.js and the list, ten requests
const PAUSE = 120 // ms without a new letter before more is downloaded: about one keystroke

// How well a word of the site answers a word of the query *
const OTHER_ACCENTS = 0.12 // other accents, although the site knows the typed ones: trong, trọng
const WRONG_ACCENTS = 0.8 // other accents, and the site does not know the typed ones: a slip
const LONGER = 0.9 // goes on after the last typed letter: the reader is still typing
const LONGER_TOO = 0.3 // … but the typed word exists as well
const SLIP = 0.6 // one letter too many, too few, wrong, or two exchanged
const SLIP_LETTERS = 4 // letters of a word that may hold a slip: shorter ones all look alike
const SYNONYM = 0.88 // only means the same

// How much a word of the query counts among the others *
const COMMON = 0.5 // stands everywhere; a rare one counts up to about log(number of pages)
const STOP = 0.22 // is a stop word, or may be one, typed without accents: do for «đó» or «độ»
const ENOUGH_ON_PAGE = 0.25 // value from which a page is said to hold a word
const ENOUGH_IN_SECTION = 0.4 // … a section

// What a word counts by its place *
const ON_PAGE = [0.5, 1, 1.4, 2.8] // by the list: code, text, heading, title (levels of index.py)
const IN_TITLE = 2.25 // by the sections' text: in the title of the section
const IN_CODE = 0.7 // … in its code
const IN_SECTION = [IN_TITLE, 1, IN_CODE] // title, text, code
const ABOVE = 0.8 // in the title of the section's page, as a part of IN_TITLE
const NEAR = 0.55 // two words of the query side by side, as a part of their own weight
const APART = 0.35 // what is left of a term whose words do not stand side by side
const NEXT_ROWS = 0.35 // what the three next sections of a page add to its best one

// What is shown
const ROWS = 8 // sections of a page
const ROWS_AT_ONCE = 3 // the rest unfolds
const GOOD_ROW = 0.6 // part of the best section's score from which a section is shown at once
const WEAK_ROW = 0.25 // … under which it is left out
const WEAK_PAGE = 0.05 // part of the best page's score under which a page is left out
const SNIPPET = 240 // characters, about three lines
const FROM_START = 60 // characters: a snippet that would begin so early begins at the start
const MARKED = 0.3 // how well a word must answer to be marked
const STOP_IN_SNIPPET = 0.05 // what a stop word counts when the snippet is chosen

// Words. The same as in words.py.

const ACCENTS = /[\u0300-\u036f]/g
const WORD = /√?[\p{L}\p{N}]+(?:\p{M}+[\p{L}\p{N}]*)*/gu
const OLD_TONE =
  /(o)([\u0300\u0301\u0303\u0309\u0323])([ae])|(u)([\u0300\u0301\u0303\u0309\u0323])(y)/g

/* A word as it is compared: small letters, NFC, the tone on the second letter: hoá. */
function normal(text) {
  const low = text.normalize("NFC").toLowerCase()
  if (/^[\x00-\x7f]*$/.test(low)) return low
  return low.normalize("NFD").replace(OLD_TONE, "$1$4$3$6$2$5").normalize("NFC")
}

/* … as it is typed without accents. */
function bare(word) {
  return word.normalize("NFD").replace(ACCENTS, "").replace(/đ/g, "d")
}

/* The words of a text, and where each begins and ends. */
function words(text) {
  const found = []
  for (const match of text.matchAll(WORD)) {
    const [word] = match
    found.push({ word: normal(word), at: match.index, end: match.index + word.length })
  }
  return found
}

/* Adds to the list that a map holds under a key. */
function addTo(map, key, ...values) {
  if (!map.has(key)) map.set(key, [])
  map.get(key).push(...values)
}

/* Keeps the largest value that a map was given for a key. */
function keepLargest(map, key, value) {
  if (value > (map.get(key) || 0)) map.set(key, value)
}

// The list of words: search/words.json

const LETTERS = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))
const ALPHABET = LETTERS.filter(letter => letter !== '"' && letter !== "\\")
const DIGIT = new Map(ALPHABET.map((letter, digit) => [letter, digit]))
const LAST = 60 // digits that end a number
const MORE = 30 // digits that go on

/* [page, level] for each page that holds a word, as `hits_of` in index.py wrote it. */
function decode(text) {
  const found = []
  let page = -1
  let value = 0
  let unit = 1
  for (const letter of text) {
    const digit = DIGIT.get(letter)
    if (digit >= LAST) {
      value += (digit - LAST) * unit
      unit *= MORE
      continue
    }
    value += digit * unit
    page += 1 + (value >> 2)
    found.push([page, value & 3])
    value = 0
    unit = 1
  }
  return found
}

class WordList {
  constructor({ pages, words, starts, hits, same, stop }) {
    this.pages = pages // [address, title]
    this.words = words.split(" ") // a term of several words is one: trọng_số_buộc
    this.starts = starts // number of the first word of each block of hits
    this.hits = [] // number of a word -> its pages, once its block is there
    this.numberOf = new Map() // word -> its number
    this.numbersOfBare = new Map() // word without accents -> numbers of those that it may be
    this.words.forEach((word, number) => {
      this.numberOf.set(word, number)
      addTo(this.numbersOfBare, bare(word), number)
    })
    this.bares = [...this.numbersOfBare.keys()].filter(form => !form.includes("_")).sort()
    this.stop = new Set(stop.split(" "))
    this.maybeStop = new Set(bare(stop).split(" "))
    this.synonyms = new Map() // a term as typed -> the terms that mean the same
    this.longestTerm = 1 // in words
    same.forEach(group => this.addSynonyms(group))
    if (hits) hits.forEach((text, block) => this.addBlock(block, text))
  }

  addSynonyms(group) {
    const onPages = group.filter(term => this.numbersOfBare.has(bare(term.replaceAll(" ", "_"))))
    for (const term of group) {
      const others = onPages.filter(other => other !== term)
      const length = term.split(" ").length
      this.longestTerm = Math.max(this.longestTerm, length)
      addTo(this.synonyms, term, ...others)
      const form = bare(term)
      // A short word without its accents is too many other words.
      if (form !== term && (length > 1 || form.length > 3)) addTo(this.synonyms, form, ...others)
    }
  }

  addBlock(block, text) {
    text.split(" ").forEach((hits, i) => (this.hits[this.starts[block] + i] = hits))
  }

  /* The blocks that hold these words and are not there yet. */
  missingBlocks(numbers) {
    const blocks = new Set()
    for (const number of numbers) {
      if (this.hits[number] === undefined)
        blocks.add(this.starts.findLastIndex(start => start <= number))
    }
    return [...blocks]
  }

  /* [page, level] of a word. */
  pagesOf(number) {
    return decode(this.hits[number] || "")
  }

  /* Numbers of the words that a typed one may be, when its accents are left out. */
  sameForm(form) {
    return this.numbersOfBare.get(form) || []
  }

  /* Numbers of a term of several words, typed with or without accents. */
  numbersOfTerm(words) {
    const term = words.join("_")
    const known = this.sameForm(bare(term))
    if (term === bare(term)) return known
    return known.filter(number => this.words[number] === term)
  }

  /* Numbers of the words whose bare form begins so. */
  beginning(start) {
    let low = 0
    let high = this.bares.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.bares[middle] < start) low = middle + 1
      else high = middle
    }
    const found = []
    while (low < this.bares.length && this.bares[low].startsWith(start)) {
      found.push(...this.sameForm(this.bares[low]))
      low++
    }
    return found
  }

  /* Numbers of the words that one slip of the finger turns into this one. */
  nearly(form) {
    if (form.length < SLIP_LETTERS) return []
    const near = this.bares.filter(other => isOneSlip(form, other))
    return near.flatMap(other => this.sameForm(other))
  }
}

/* One letter more, less or other, or two neighbours exchanged. */
function isOneSlip(a, b) {
  if (Math.abs(a.length - b.length) > 1 || a === b) return false
  let start = 0
  while (start < a.length && a[start] === b[start]) start++
  const most = Math.min(a.length, b.length) - start
  let end = 0
  while (end < most && a[a.length - 1 - end] === b[b.length - 1 - end]) end++
  const left = a.slice(start, a.length - end)
  const right = b.slice(start, b.length - end)
  if (left.length <= 1 && right.length <= 1) return true
  return left.length === 2 && right.length === 2 && left[0] === right[1] && left[1] === right[0]
}

// Reading a query

/* The words of a query. `glued`: must stand right after the one before, as in save_pretrained and
 * in "trọng số"; `last`: may still go on. */
function parse(list, text) {
  const found = []
  const parts = text.split(/["“”«»]/)
  parts.forEach((part, number) => {
    const quoted = number % 2 === 1 && number < parts.length - 1
    let before // end of the word before
    for (const { word, at, end } of words(part)) {
      const joined = before !== undefined && /^[_.\-]+$/.test(part.slice(before, at))
      const glued = joined || (quoted && before !== undefined)
      const isStop = list.stop.has(word)
      const loud = isStop || list.maybeStop.has(word) ? STOP : 1
      const typed = part.slice(at, end)
      found.push({ word, form: bare(word), glued, isStop, loud, last: false, typed })
      before = end
    }
  })
  if (found.length && /[\p{L}\p{N}\p{M}]$/u.test(text)) found[found.length - 1].last = true
  return found
}

/* A word that no page holds, as words that one does: HeaderTooLarge, huanluyen. */
function takeApart(list, token) {
  if (list.beginning(token.form).length) return [token]
  const spaced = token.typed.replace(/(\p{Ll})(?=\p{Lu})/gu, "$1 ")
  let pieces = words(spaced).map(({ word }) => word)
  const humps = pieces.length > 1
  for (let at = 2; at < token.form.length - 1 && pieces.length === 1; at++) {
    const halves = [token.form.slice(0, at), token.form.slice(at)]
    if (halves.every(half => list.numbersOfBare.has(half))) pieces = halves
  }
  if (pieces.length === 1) return [token]
  return pieces.map((word, i) => ({
    ...token,
    word,
    form: bare(word),
    glued: token.glued || (i > 0 && !humps),
    last: token.last && i === pieces.length - 1
  }))
}

/* Word of the site -> how well it answers a word of the query. */
function answersOf(list, { word, form, last }) {
  const found = new Map()
  const add = (number, weight) => keepLargest(found, list.words[number], weight)
  const hasAccents = word !== form
  const known = list.sameForm(form)
  const accentsKnown = list.numberOf.has(word)
  for (const number of known) {
    if (!hasAccents || list.words[number] === word) add(number, 1)
    else add(number, accentsKnown ? OTHER_ACCENTS : WRONG_ACCENTS)
  }
  if (last && (form.length > 1 || !known.length)) {
    for (const number of list.beginning(form)) {
      const fits = !hasAccents || list.words[number].startsWith(word)
      if (!known.length) add(number, LONGER)
      else if (fits && !known.includes(number)) add(number, LONGER_TOO)
    }
  }
  if (!found.size) list.nearly(form).forEach(number => add(number, SLIP))
  return found
}

/* The longest term of the query that begins here, in words, and what means the same. Words that are
 * glued together stay together. */
function termAt(list, query, place) {
  const isGlued = at => at < query.length && query[at].glued
  let shortest = 1
  while (isGlued(place + shortest)) shortest++
  const longest = Math.min(list.longestTerm, query.length - place)
  for (let length = longest; length >= shortest; length--) {
    const typed = query.slice(place, place + length)
    const others = list.synonyms.get(typed.map(({ word }) => word).join(" "))
    if (others && !isGlued(place + length)) return { typed, others }
  }
  return { typed: query.slice(place, place + shortest), others: [] }
}

/* A query as the ranking reads it:
 * - `parts`, one after the other. Each has `ways` to say it: as it was typed, then its synonyms. A
 *   way is a list of numbers of tokens.
 * - `tokens`: the words of all ways, each with its `answers` and with the tokens that may stand
 *   right `before` it.
 * - `holders`: word of the site -> the tokens that it answers. */
function read(list, query) {
  const tokens = []
  const parts = []
  let ends = [] // tokens that end the part before

  function addWay(weight, wayWords) {
    const way = { weight, tokens: [], term: [] }
    for (const token of wayWords) {
      const first = way.tokens.length === 0
      const before = first ? ends : [tokens.length - 1]
      way.tokens.push(tokens.length)
      tokens.push({ ...token, answers: answersOf(list, token), before, way })
    }
    if (wayWords.length > 1) way.term = list.numbersOfTerm(wayWords.map(({ word }) => word))
    return way
  }

  let place = 0
  while (place < query.length) {
    const { typed, others } = termAt(list, query, place)
    const ways = [addWay(1, typed)]
    for (const other of others) {
      const spoken = other.split(" ").map(word => ({ word, form: bare(word) }))
      ways.push(addWay(SYNONYM, spoken))
    }
    const loud = Math.max(...typed.map(token => token.loud))
    const isStop = typed.every(token => token.isStop)
    parts.push({ ways, loud, length: typed.length, isStop })
    ends = ways.map(way => way.tokens[way.tokens.length - 1])
    place += typed.length
  }
  return { tokens, parts, holders: holdersOf(tokens) }
}

/* Word of the site -> [token, how well it is answered], … */
function holdersOf(tokens) {
  const holders = new Map()
  tokens.forEach(({ answers }, token) => {
    for (const [word, weight] of answers) addTo(holders, word, [token, weight])
  })
  return holders
}

/* Numbers of all words whose pages the query asks for. */
function wordsAskedFor(list, { tokens, parts }) {
  const found = []
  for (const { answers } of tokens)
    for (const word of answers.keys()) found.push(list.numberOf.get(word))
  for (const { ways } of parts) for (const { term } of ways) found.push(...term)
  return found
}

/* What a part of the query counts: more when few of `all` pages hold it, and when it is long. */
function worthOf(part, all, holding) {
  const rarity = COMMON + Math.log(1 + (all - holding + 0.5) / (holding + 0.5))
  return rarity * part.loud * Math.sqrt(part.length)
}

// First step: the best pages by the list alone

/* Page -> how well it holds a token. */
function pagesOfToken(list, { answers }) {
  const found = new Map()
  for (const [word, weight] of answers) {
    for (const [page, level] of list.pagesOf(list.numberOf.get(word)))
      keepLargest(found, page, weight * ON_PAGE[level])
  }
  return found
}

/* Page -> how well it holds one way to say a part; `pages`: of each token. */
function pagesOfWay(list, way, pages) {
  const term = new Map(way.term.flatMap(number => list.pagesOf(number)))
  const found = new Map()
  for (const page of new Set(way.tokens.flatMap(token => [...pages[token].keys()]))) {
    let value = 0
    for (const token of way.tokens) value += pages[token].get(page) || 0
    value /= way.tokens.length
    if (term.has(page)) value = ON_PAGE[term.get(page)]
    else if (way.tokens.length > 1) value *= APART
    found.set(page, way.weight * value)
  }
  return found
}

/* The pages that answer, best first. */
function choose(list, { tokens, parts }) {
  const pages = tokens.map(token => pagesOfToken(list, token))
  const scores = new Map()
  const covered = new Map() // page -> how much of the query it holds
  let total = 0
  for (const part of parts) {
    const ofWays = part.ways.map(way => pagesOfWay(list, way, pages))
    const [typed] = ofWays
    const any = new Map()
    for (const found of ofWays) found.forEach((value, page) => keepLargest(any, page, value))
    const holding = found => [...found.values()].filter(value => value >= ENOUGH_ON_PAGE).length
    // What was typed literally may be rarer, and then counts more, than what means the same.
    const worth = worthOf(part, list.pages.length, holding(any))
    const literal = worthOf(part, list.pages.length, holding(typed))
    total += worth
    for (const [page, value] of any) {
      const gain = Math.max(worth * value, literal * (typed.get(page) || 0))
      scores.set(page, (scores.get(page) || 0) + gain)
      covered.set(page, (covered.get(page) || 0) + worth * Math.min(1, value))
    }
  }
  // A page should hold the whole query.
  const score = page => (scores.get(page) * covered.get(page)) / total
  const ranked = [...scores.keys()].map(page => ({ page, score: score(page) }))
  return ranked.sort((a, b) => b.score - a.score).map(({ page }) => page)
}

// Second step: the sections of these pages by their text

/* A page with its words, cut once. */
function cut([location, sections]) {
  const made = sections.map(([anchor, ...fields]) => ({
    anchor,
    fields, // title, text, code
    words: fields.map(words)
  }))
  return { location, sections: made }
}

/* What some fields (title, text, code) hold of each token: its best value, and the best with the
 * token's neighbour right before it. */
function find({ tokens, holders }, fields) {
  const values = tokens.map(() => 0)
  const pairs = tokens.map(() => 0)
  fields.forEach((found, field) => {
    let before = []
    for (const { word } of found) {
      const now = holders.get(word) || []
      for (const [token, weight] of now) {
        values[token] = Math.max(values[token], IN_SECTION[field] * weight)
        for (const [neighbour, other] of before) {
          const pair = Math.min(weight, other)
          if (tokens[token].before.includes(neighbour)) pairs[token] = Math.max(pairs[token], pair)
        }
      }
      before = now
    }
  })
  return { values, pairs }
}

/* What is found of a part: `typed` literally, `any` way, and the `pair` with the part before. */
function partIn(part, { values, pairs }) {
  const found = { typed: 0, any: 0, pair: 0 }
  part.ways.forEach(({ weight, tokens }, number) => {
    let value = 0
    tokens.forEach((token, i) => {
      const apart = i > 0 && !pairs[token]
      value += apart ? APART * values[token] : values[token]
    })
    value *= weight / tokens.length
    if (!tokens.every(token => values[token])) value *= APART
    if (number === 0) found.typed = value
    found.any = Math.max(found.any, value)
    found.pair = Math.max(found.pair, weight * pairs[tokens[0]])
  })
  return found
}

/* … in a section, or in the title of its page. */
function partBelow(part, own, title) {
  const here = partIn(part, own)
  const above = partIn(part, title)
  for (const kind in here) here[kind] = Math.max(here[kind], (above[kind] / IN_TITLE) * ABOVE)
  return here
}

/* Every section of the pages with its score. `found`: what it holds of each part. */
function rank(reading, pages) {
  const { parts } = reading
  const rows = []
  for (const page of pages) {
    const title = find(reading, [page.sections[0].words[0]])
    for (const section of page.sections) {
      const own = find(reading, section.words)
      rows.push({ page, section, found: parts.map(part => partBelow(part, own, title)) })
    }
  }
  const worth = parts.map((part, i) => {
    const holding = kind => rows.filter(({ found }) => found[i][kind] >= ENOUGH_IN_SECTION).length
    const of = kind => worthOf(part, rows.length, holding(kind))
    return { typed: of("typed"), any: of("any") }
  })
  let total = 0
  for (const { any } of worth) total += any
  for (const row of rows) {
    let score = 0
    let covered = 0
    row.found.forEach(({ typed, any, pair }, i) => {
      score += Math.max(worth[i].typed * typed, worth[i].any * any)
      if (i > 0) score += NEAR * Math.min(worth[i - 1].any, worth[i].any) * pair
      covered += worth[i].any * Math.min(1, any / IN_CODE)
    })
    row.score = (score * covered) / total ** 2
  }
  return rows
}

// What is shown

function escape(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")
}

/* How well each word of a text answers the query. Of a term of several words, only two side by side
 * count. */
function weightsOf({ tokens, holders }, found) {
  const weights = found.map(() => 0)
  const answeredAt = place => {
    if (!found[place]) return []
    return (holders.get(found[place].word) || []).filter(([, weight]) => weight >= MARKED)
  }
  const follows = (token, before) =>
    tokens[token].way === tokens[before].way && tokens[token].before.includes(before)
  found.forEach((_, place) => {
    for (const [token, weight] of answeredAt(place)) {
      const whole =
        tokens[token].way.tokens.length === 1 ||
        answeredAt(place - 1).some(([before]) => follows(token, before)) ||
        answeredAt(place + 1).some(([after]) => follows(after, token))
      if (!whole) continue
      const shown = tokens[token].isStop ? STOP_IN_SNIPPET : weight
      weights[place] = Math.max(weights[place], shown)
    }
  })
  return weights
}

/* A part of a text with the words of the query marked. */
function mark(text, found, weights, from = 0, to = text.length) {
  let shown = ""
  let done = from
  found.forEach(({ at, end }, place) => {
    if (at < from || end > to || weights[place] < MARKED) return
    shown += `${escape(text.slice(done, at))}<mark>${escape(text.slice(at, end))}</mark>`
    done = end
  })
  shown += escape(text.slice(done, to))
  return shown.replace(/<\/mark>([\s_-]*)<mark>/g, "$1")
}

/* Where to begin so that SNIPPET characters hold most of the query, each word counted once. */
function bestStart(found, weights) {
  const times = new Map() // word of the query -> how often it stands between left and right
  let left = 0
  let sum = 0
  let most = 0
  let start = 0
  found.forEach(({ word, end }, right) => {
    if (weights[right]) {
      times.set(word, (times.get(word) || 0) + 1)
      if (times.get(word) === 1) sum += weights[right]
    }
    while (end - found[left].at > SNIPPET) {
      if (weights[left]) {
        times.set(found[left].word, times.get(found[left].word) - 1)
        if (times.get(found[left].word) === 0) sum -= weights[left]
      }
      left++
    }
    if (sum > most + 1e-9) {
      most = sum
      start = left
    }
  })
  return { most, start }
}

/* The part of a section's text, or else of its code, that holds most of the query. */
function snippet({ fields, words }, weights) {
  const inText = bestStart(words[1], weights[1])
  const inCode = bestStart(words[2], weights[2])
  const kind = inCode.most > inText.most ? 2 : 1
  const { start } = kind === 2 ? inCode : inText
  const text = fields[kind]
  const found = words[kind]
  if (!found.length) return ""
  let from = found[start].at
  if (from < FROM_START) from = 0
  let to = text.length
  let rest = ""
  const inside = found.filter(({ at, end }) => at >= from && end <= from + SNIPPET)
  const last = inside[inside.length - 1]
  if (last !== found[found.length - 1]) {
    rest = " …"
    if (last) to = last.end
  }
  const shown = mark(text, found, weights[kind], from, to)
  return `<p>${from ? "… " : ""}${shown}${rest}</p>`
}

/* The results as the theme shows them: a group for each page, best first. */
function results(reading, pages) {
  const rowsOf = new Map()
  for (const row of rank(reading, pages)) if (row.score > 0) addTo(rowsOf, row.page, row)
  const groups = []
  for (const page of pages) {
    const rows = rowsOf.get(page)
    if (!rows) continue
    rows.sort((a, b) => b.score - a.score)
    let next = 0
    for (const row of rows.slice(1, 4)) next += row.score
    const good = rows.slice(0, ROWS).filter(({ score }) => score > WEAK_ROW * rows[0].score)
    groups.push({ page, rows: good, score: rows[0].score + NEXT_ROWS * next })
  }
  groups.sort((a, b) => b.score - a.score)
  const shown = groups.filter(({ score }) => score > WEAK_PAGE * groups[0].score)
  return shown.map(group => entries(group, reading))
}

/* Which words of the query a section holds (true, to be marked on its page) and lacks (false, told
 * to the reader). */
function termsOf({ section, found }, weights, { tokens, parts }) {
  const terms = {}
  section.words.forEach((field, kind) => {
    field.forEach(({ word }, place) => {
      if (weights[kind][place] >= MARKED) terms[word] = true
    })
  })
  parts.forEach(({ isStop, ways }, i) => {
    const typed = ways[0].tokens.map(token => tokens[token].word).join(" ")
    if (!isStop && !found[i].any) terms[typed] = false
  })
  return terms
}

/* A page, then its sections. The theme shows those that score no less than the first of the group,
 * unfolds the others on demand, and leads the Enter key to the highest score. */
function entries({ page, rows, score: exact }, reading) {
  const score = 1000 * exact // the theme keeps two decimals
  const [best] = rows
  const made = []
  rows.forEach((row, i) => {
    const { section } = row
    const weights = section.words.map(found => weightsOf(reading, found))
    const part = row.score / best.score
    const atOnce = i < ROWS_AT_ONCE && part > GOOD_ROW && best.section.anchor
    let own = score * part
    if (i > 0 && !atOnce) own /= 4
    made.push({
      location: section.anchor ? `${page.location}#${section.anchor}` : page.location,
      title: mark(section.fields[0], section.words[0], weights[0]),
      text: snippet(section, weights),
      terms: termsOf(row, weights, reading),
      score: own
    })
  })
  if (!best.section.anchor) return made
  const scores = made.map(entry => entry.score).filter(own => own > GOOD_ROW * score)
  const [{ fields, words: cutFields }] = page.sections
  const parent = {
    location: page.location,
    title: mark(fields[0], cutFields[0], weightsOf(reading, cutFields[0])),
    text: "",
    terms: Object.fromEntries(Object.entries(made[0].terms).filter(([, met]) => met)),
    score: Math.min(...scores) - 1
  }
  return [parent, ...made.filter(({ location }) => location !== page.location)]
}

/* Words that the last one may become, the most frequent last: the theme shows that one. */
function suggestions(list, query) {
  const token = query[query.length - 1]
  if (!token || !token.last) return []
  const pages = number => (list.hits[number] || "").length
  return list
    .beginning(token.form)
    .filter(number => list.words[number].startsWith(token.word))
    .sort((a, b) => pages(a) - pages(b))
    .map(number => list.words[number])
}

// The worker

const downloads = new Map() // path -> promise of what was made of the file
let latest = 0 // number of the newest question
let before = "" // the question before: is somebody typing?
let candidates = CANDIDATES

/* What `make` makes of a file, fetched once; after a failure the next question tries again. */
function get(path, make) {
  if (!downloads.has(path)) {
    const download = fetchJson(path).then(make)
    downloads.set(path, download)
    download.catch(() => downloads.delete(path))
  }
  return downloads.get(path)
}

async function fetchJson(path) {
  const answer = await fetch(new URL(`../../${path}`, self.location), { cache: "no-cache" })
  if (!answer.ok) throw new Error(`${answer.status} ${path}`)
  return answer.json()
}

function pause() {
  return new Promise(done => setTimeout(done, PAUSE))
}

function pagePath(location) {
  return `search/pages/${location.replace(/\/$/, "").replaceAll("/", ".") || "index"}.json`
}

/* A page's text. Without it, its title is all there is to look at. */
function getText([location, title]) {
  const onlyTitle = cut([location, [["", title, "", ""]]])
  return get(pagePath(location), cut).catch(() => onlyTitle)
}

/* What the setup message brings on a site without a server: there, every page is a candidate. */
function takeAlong({ list, pages }) {
  candidates = pages.length
  downloads.set("search/words.json", Promise.resolve(new WordList(list)))
  for (const page of pages) downloads.set(pagePath(page[0]), Promise.resolve(cut(page)))
}

/* The answer to a question; nothing when a newer one came meanwhile. */
async function search(question) {
  const turn = ++latest
  const isOld = () => turn !== latest
  const isTyping = question.startsWith(before) || before.startsWith(question)
  before = question
  if (!words(question).length) return { items: [] }
  const list = await get("search/words.json", data => new WordList(data))
  if (isOld()) return
  const query = parse(list, question).flatMap(token => takeApart(list, token))
  const reading = read(list, query)

  const blocks = list.missingBlocks(wordsAskedFor(list, reading))
  if (isTyping && blocks.length) await pause()
  if (isOld()) return
  const getBlock = block => get(`search/hits/${block}.json`, text => list.addBlock(block, text))
  await Promise.all(blocks.map(getBlock))
  if (isOld()) return

  const best = choose(list, reading).slice(0, candidates).map(page => list.pages[page])
  const isThere = ([location]) => downloads.has(pagePath(location))
  if (isTyping && !blocks.length && !best.every(isThere)) await pause()
  if (isOld()) return
  const pages = await Promise.all(best.map(getText))
  if (isOld()) return
  return { items: results(reading, pages), suggest: suggestions(list, query) }
}

addEventListener("message", async ({ data: { type, data } }) => {
  if (type === SETUP) {
    if (data.docs.list) takeAlong(data.docs)
    postMessage({ type: READY })
  }
  if (type === QUERY) {
    const found = await search(data).catch(() => ({ items: [] }))
    if (found) postMessage({ type: RESULT, data: found })
  }
})

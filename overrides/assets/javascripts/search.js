/* The site's search, in a worker. It speaks the theme's protocol (setup, ready, query, result) and takes the place of
 * the theme's worker, which needs the whole text of the site before the first letter is typed.
 *
 * A query is answered in two steps. search/words.json says which pages hold each word, and how prominently: it chooses
 * the CANDIDATES best pages. Their text (search/pages/) gives the order, the sections and the snippets. A site opened
 * without a server brings its text along in the setup message; then every page is a candidate. */

const [SETUP, READY, QUERY, RESULT] = [0, 1, 2, 3]
const CANDIDATES = 8 // pages whose text is looked at
const PAUSE = 120 // milliseconds without a new letter before text is downloaded
const SHOWN = 3 // sections of a page shown at once; the rest unfolds
const SNIPPET = 240 // characters
const SEEN = 0.3 // how well a word must answer to be marked
const LEVELS = [0.5, 1, 1.4, 2.8] // what a word counts on a page: in code, in text, in a heading, in the title
const HEADING = 2.25 // what a word counts in the heading of a section, where 1 is its text
const ABOVE = 0.8 // … in the title of the section's page
const CODE = 0.7 // … in the section's code
const NEAR = 0.55 // what two words of the query gain by standing side by side, as a part of their own weight
const APART = 0.35 // … what is left of words that belong together and do not stand side by side
const OTHER = 0.88 // what a word counts that only means the same
const OFTEN = 0.25 // what more than one occurrence adds
const LONG = 0.9 // what a long section loses
const COMMON = 0.4 // what a word counts that stands everywhere
const SMALL = 0.22 // what is left of a stop word
const MAYBE = 0.5 // … of what may be one, typed without accents: trong, nen
const UNLIKELY = 0.6 // what is left of a word that never stands beside the other words of the query
const WHOLE = 1.25 // power of the part of the query that is found
const MORE_ROWS = 0.35 // what the next sections of a page add to its best one

// Words. `words` must cut as `words` in scripts/search_index.py does.

const ACCENTS = /[\u0300-\u036f]/g
const OLD_TONE = /(o)([\u0300\u0301\u0303\u0309\u0323])([ae])|(u)([\u0300\u0301\u0303\u0309\u0323])(y)/g

function normal(text) {
  const low = text.normalize("NFC").toLowerCase()
  if (/^[\x00-\x7f]*$/.test(low)) return low
  return low.normalize("NFD").replace(OLD_TONE, "$1$4$3$6$2$5").normalize("NFC")
}

function bare(word) {
  return word.normalize("NFD").replace(ACCENTS, "").replace(/đ/g, "d")
}

function words(text) {
  return Array.from(text.matchAll(/[\p{L}\p{N}]+(?:\p{M}+[\p{L}\p{N}]*)*/gu), found => ({
    word: normal(found[0]),
    at: found.index,
    end: found.index + found[0].length
  }))
}

// Stop words: a question holds them and a page need not

const STOP = new Set(
  ("là của và các những một có thế nào làm sao gì cho khi để thì mà ở được bị tôi bạn mình với trong này đó ấy hay " +
    "hoặc rồi nên phải như vì tại bao nhiêu cách về cái con đâu mấy không " +
    "la cua va cac nhung the nao lam sao gi cho khi duoc voi nhu vi hay cach " +
    "a and for how i is of or that what why with").split(" ")
)
/* Typed without accents, most of them may be another word: «trong» may be «trọng», «nen» may be «nén». */
const STOP_BARE = new Set([...STOP].map(bare))

/* What a word of the query counts among the others. */
const loudness = word => (STOP.has(word) ? SMALL : STOP_BARE.has(word) ? MAYBE : 1)

// The list of words

const ALPHABET = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).filter(c => c !== '"' && c !== "\\")
const DIGIT = new Map(ALPHABET.map((letter, digit) => [letter, digit]))
const [LAST, MORE] = [60, 30]

/* [page, level] for each page that holds a word. */
function decode(text) {
  const found = []
  let [page, value, unit] = [-1, 0, 1]
  for (const letter of text) {
    const digit = DIGIT.get(letter)
    if (digit >= LAST) {
      value += (digit - LAST) * unit
      unit *= MORE
    } else {
      value += digit * unit
      page += 1 + (value >> 2)
      found.push([page, value & 3])
      value = 0
      unit = 1
    }
  }
  return found
}

class List {
  constructor({ pages, words, hits, same }) {
    this.pages = pages
    this.words = words.split(" ") // and terms of several words: trọng_số_buộc
    this.hits = hits.split(" ")
    this.place = new Map(this.words.map((word, number) => [word, number]))
    this.ofBare = new Map() // bare form -> numbers of the words
    this.terms = new Map() // … of the terms
    this.words.forEach((word, number) => {
      const form = bare(word)
      if (form.includes("_")) this.terms.set(form, [...(this.terms.get(form) || []), number])
      else if (this.ofBare.has(form)) this.ofBare.get(form).push(number)
      else this.ofBare.set(form, [number])
    })
    this.bares = [...this.ofBare.keys()].sort()
    this.same = new Map() // a term as typed, with or without accents -> the terms that mean the same
    this.longest = 1
    for (const group of same) {
      const ways = group.map(term => term.split(" "))
      const held = ways.filter(way => (way.length > 1 ? this.terms : this.ofBare).has(bare(way.join("_")))) // by a page
      ways.forEach((way, i) => {
        this.longest = Math.max(this.longest, way.length)
        for (const key of new Set([group[i], bare(group[i])]))
          if (key === group[i] || way.length > 1 || key.length > 3)
            this.same.set(key, [...(this.same.get(key) || []), ...held.filter(other => other !== way)])
      })
    }
  }

  /* Page -> level of a word. */
  pagesOf(number) {
    return decode(this.hits[number])
  }

  /* Page -> level of a term of several words, typed with or without accents. */
  pagesOfTerm(way) {
    const known = this.terms.get(way.map(bare).join("_")) || []
    const exact = known.filter(number => this.words[number] === way.join("_"))
    return new Map((way.some(word => word !== bare(word)) ? exact : known).flatMap(number => this.pagesOf(number)))
  }

  /* The longest term of the query that begins here, and what means the same. What is glued together stays whole. */
  meaning(query, at) {
    let whole = 1
    while (at + whole < query.length && query[at + whole].glued) whole++
    for (let length = Math.min(this.longest, query.length - at); length >= whole; length--) {
      if (at + length < query.length && query[at + length].glued) continue
      const here = query.slice(at, at + length)
      const others = this.same.get(here.map(({ word }) => word).join(" "))
      if (others) return { length, others }
    }
    return { length: whole, others: [] }
  }

  /* Bare forms that begin so. */
  beginning(start) {
    let [low, high] = [0, this.bares.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.bares[middle] < start) low = middle + 1
      else high = middle
    }
    const found = []
    while (low < this.bares.length && this.bares[low].startsWith(start)) found.push(this.bares[low++])
    return found
  }

  /* Bare forms that one slip of the finger turns into this one. */
  nearly(form) {
    return form.length < 4 ? [] : this.bares.filter(other => oneSlip(form, other))
  }
}

/* One letter more, less or other, or two neighbours exchanged. */
function oneSlip(a, b) {
  if (Math.abs(a.length - b.length) > 1 || a === b) return false
  let [start, end] = [0, 0]
  while (start < a.length && a[start] === b[start]) start++
  while (end < Math.min(a.length, b.length) - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)]
  if (left.length <= 1 && right.length <= 1) return true
  return left.length === 2 && right.length === 2 && left[0] === right[1] && left[1] === right[0]
}

// A query

/* The words of a query. `glued`: must stand right after the one before (save_pretrained, "trọng số"). */
function parse(text) {
  const found = []
  const parts = text.split(/["“”«»]/)
  parts.forEach((part, number) => {
    const quoted = number % 2 === 1 && number < parts.length - 1
    let before = -1
    for (const { word, at, end } of words(part)) {
      const between = before < 0 ? " " : part.slice(before, at)
      const form = bare(word)
      const glued = before >= 0 && (quoted || /^[_.\-]+$/.test(between))
      found.push({ word, form, glued, loud: loudness(word), last: false, typed: part.slice(at, end) })
      before = end
    }
  })
  if (found.length && /[\p{L}\p{N}\p{M}]$/u.test(text)) found[found.length - 1].last = true
  return found
}

/* A word that no page holds, as words that one does: HeaderTooLarge, huanluyen. */
function apart(list, token) {
  if (list.beginning(token.form).length) return [token]
  const made = (word, i, all) => ({ ...token, word, form: bare(word), last: token.last && i === all.length - 1 })
  const humps = words(token.typed.replace(/(\p{Ll})(?=\p{Lu})/gu, "$1 ")).map(({ word }) => word)
  if (humps.length > 1) return humps.map(made)
  for (let at = 2; at < token.form.length - 1; at++) {
    const two = [token.form.slice(0, at), token.form.slice(at)]
    if (two.every(half => list.ofBare.has(half))) return two.map(made).map((half, i) => ({ ...half, glued: i > 0 }))
  }
  return [token]
}

/* Word of the site -> how well it answers a word of the query, from 0 to 1. */
function answers(list, { word, form, last }) {
  const found = new Map()
  const add = (number, weight) => {
    const answer = list.words[number]
    if (weight > (found.get(answer) || 0)) found.set(answer, weight)
  }
  const accented = word !== form
  const known = list.ofBare.get(form) || []
  const exact = accented && list.place.has(word)
  for (const number of known) add(number, !accented || list.words[number] === word ? 1 : exact ? 0.12 : 0.8)
  if (last && (form.length > 1 || !known.length)) {
    for (const longer of list.beginning(form)) {
      if (longer === form) continue
      for (const number of list.ofBare.get(longer)) {
        const fits = !accented || list.words[number].startsWith(word)
        if (fits || !known.length) add(number, known.length ? 0.3 : fits ? 0.9 : 0.5)
      }
    }
  }
  if (!found.size) for (const near of list.nearly(form)) for (const number of list.ofBare.get(near)) add(number, 0.6)
  return found
}

/* A query as the ranking reads it. `tokens`: the words of the query and of all that means the same. `parts`: one after
 * the other, each with its `ways`: the words as typed, and what else means the same. A way is a list of tokens. */
function read(list, query) {
  const tokens = []
  const parts = []
  let ends = [] // tokens that end the part before
  const put = (way, before) =>
    way.map((token, i) => {
      const alone = way.length === 1
      tokens.push({ ...token, answers: answers(list, token), before: i ? [tokens.length - 1] : before, way, alone })
      return tokens.length - 1
    })
  for (let at = 0; at < query.length; ) {
    const { length, others } = list.meaning(query, at)
    const typed = query.slice(at, at + length)
    const ways = [{ weight: 1, tokens: put(typed, ends) }]
    for (const other of others) {
      const way = other.map((word, i) => ({ word, form: bare(word), glued: i > 0, loud: 1, last: false }))
      ways.push({ weight: OTHER, tokens: put(way, ends) })
    }
    parts.push({ ways, loud: Math.max(...typed.map(({ loud }) => loud)), syllables: length })
    ends = ways.map(way => way.tokens[way.tokens.length - 1])
    at += length
  }
  return { tokens, parts, holders: holdersOf(tokens) }
}

/* Word of the site -> the tokens that it answers, and how well. */
function holdersOf(tokens) {
  const holders = new Map()
  tokens.forEach(({ answers }, i) => {
    for (const [word, weight] of answers) holders.set(word, [...(holders.get(word) || []), [i, weight]])
  })
  return holders
}

const rarity = (all, holding) => COMMON + Math.log(1 + (all - holding + 0.5) / (holding + 0.5))
const worthOf = (part, all, holding) => rarity(all, holding) * part.loud * Math.sqrt(part.syllables)

/* The best pages by the list alone: [page, score]. */
function choose(list, { tokens, parts }) {
  const ofToken = tokens.map(({ answers }) => {
    const best = new Map()
    for (const [answer, weight] of answers)
      for (const [page, level] of list.pagesOf(list.place.get(answer)))
        best.set(page, Math.max(best.get(page) || 0, weight * LEVELS[level]))
    return best
  })
  const scores = new Map()
  let total = 0
  for (const part of parts) {
    const [typed, any] = [new Map(), new Map()]
    part.ways.forEach(({ weight, tokens: way }, number) => {
      const term = way.length > 1 && list.pagesOfTerm(way.map(token => tokens[token].word))
      for (const page of new Set(way.flatMap(token => [...ofToken[token].keys()]))) {
        const mean = way.reduce((sum, token) => sum + (ofToken[token].get(page) || 0), 0) / way.length
        const value = weight * (!term ? mean : term.has(page) ? LEVELS[term.get(page)] : APART * mean)
        any.set(page, Math.max(any.get(page) || 0, value))
        if (!number) typed.set(page, value)
      }
    })
    const holding = values => [...values.values()].filter(value => value >= LEVELS[0] / 2).length
    const worth = worthOf(part, list.pages.length, holding(any))
    const literal = worthOf(part, list.pages.length, holding(typed))
    total += worth
    for (const [page, value] of any) {
      const [score, covered] = scores.get(page) || [0, 0]
      const gain = Math.max(worth * value, literal * (typed.get(page) || 0))
      scores.set(page, [score + gain, covered + worth * Math.min(1, value / LEVELS[1])])
    }
  }
  return [...scores].map(([page, [score, covered]]) => [page, score * (covered / total) ** WHOLE])
}

// Ranking

/* A section with its words, cut once. */
function cut(location, sections) {
  return {
    location,
    sections: sections.map(([anchor, title, text, code]) => ({
      anchor,
      fields: [title, text, code],
      words: [words(title), words(text), words(code)]
    }))
  }
}

const FIELDS = [HEADING, 1, CODE]

/* What a section holds of each token: its best value, and the best with the token's neighbour right before it. */
function find({ tokens, holders }, fields) {
  const values = tokens.map(() => 0)
  const pairs = tokens.map(() => 0)
  fields.forEach((found, kind) => {
    const top = new Map()
    const sum = new Map()
    let before = []
    for (const { word } of found) {
      const now = holders.get(word) || []
      for (const [i, weight] of now) {
        top.set(i, Math.max(weight, top.get(i) || 0))
        sum.set(i, weight + (sum.get(i) || 0))
        for (const [neighbour, other] of before)
          if (tokens[i].before.includes(neighbour))
            pairs[i] = Math.max(pairs[i], Math.min(weight, other) * Math.max(1, FIELDS[kind]))
      }
      before = now
    }
    const long = kind ? LONG * Math.min(3, found.length / 150) : 0
    for (const [i, best] of top) {
      const count = sum.get(i) / best
      values[i] = Math.max(values[i], (FIELDS[kind] * best * (1 + OFTEN) * count) / (count + OFTEN * (1 + long)))
    }
  })
  return { values, pairs }
}

/* What a section holds of a part: what was typed, the best way, and how well it follows the part before. */
function best(part, { values, pairs }) {
  let [typed, any, pair] = [0, 0, 0]
  part.ways.forEach(({ weight, tokens }, number) => {
    const sum = tokens.reduce((sum, token, i) => sum + values[token] * (i && !pairs[token] ? APART : 1), 0)
    const all = tokens.every(token => values[token])
    const value = (weight * sum * (all ? 1 : APART)) / tokens.length
    if (!number) typed = value
    any = Math.max(any, value)
    pair = Math.max(pair, weight * pairs[tokens[0]])
  })
  return [typed, any, pair]
}

/* Of the words that a word typed without accents may be, those that stand beside its neighbours in the texts count
 * more: «du lieu» is «dữ liệu», not «dù liệu». */
function settle(reading, pages) {
  const { tokens, holders } = reading
  const support = tokens.map(() => new Map())
  const add = (i, word, weight) => support[i].set(word, (support[i].get(word) || 0) + weight)
  for (const { sections } of pages)
    for (const section of sections)
      for (const found of section.words)
        for (let place = 1; place < found.length; place++) {
          const now = holders.get(found[place].word)
          const before = now && holders.get(found[place - 1].word)
          if (!before) continue
          for (const [i, weight] of now)
            for (const [j, other] of before)
              if (weight === 1 && other === 1 && tokens[i].before.includes(j)) {
                add(i, found[place].word, 1)
                add(j, found[place - 1].word, 1)
              }
        }
  tokens.forEach(({ word, form, answers }, i) => {
    const top = Math.max(0, ...support[i].values())
    if (word !== form || !top) return
    for (const [answer, weight] of answers)
      if (weight === 1) answers.set(answer, UNLIKELY + (1 - UNLIKELY) * Math.sqrt((support[i].get(answer) || 0) / top))
  })
  return { ...reading, holders: holdersOf(tokens) }
}

/* Every section of the pages with its score. */
function rank(reading, pages) {
  const { parts } = reading
  const rows = []
  for (const page of pages) {
    const title = find(reading, [page.sections[0].words[0]])
    const above = parts.map(part => best(part, title).map(value => (value / HEADING) * ABOVE))
    for (const section of page.sections) {
      const own = find(reading, section.words)
      const here = parts.map((part, i) => best(part, own).map((value, kind) => Math.max(value, above[i][kind])))
      rows.push({ page, section, here })
    }
  }
  const worth = parts.map((part, i) =>
    [0, 1].map(kind => worthOf(part, rows.length, rows.filter(({ here }) => here[i][kind] >= 0.4).length))
  )
  const total = worth.reduce((sum, [, any]) => sum + any, 0)
  for (const row of rows) {
    let [score, covered] = [0, 0]
    row.here.forEach(([typed, any, pair], i) => {
      const [literal, common] = worth[i]
      score += Math.max(literal * typed, common * any)
      if (i) score += NEAR * Math.min(worth[i - 1][1], common) * pair
      covered += common * Math.min(1, any / CODE)
    })
    row.score = (score * (covered / total) ** WHOLE) / total
  }
  return rows
}

// What is shown

const escape = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")

/* How well each word of a text answers the query. Of a term of several words, only two side by side count. */
function hits({ tokens, holders }, found) {
  const at = place => (found[place] ? holders.get(found[place].word) || [] : []).filter(([, weight]) => weight >= SEEN)
  const follows = (i, j) => tokens[i].way === tokens[j].way && tokens[i].before.includes(j)
  return found.map((_, place) => {
    let top = 0
    for (const [i, weight] of at(place)) {
      const whole =
        tokens[i].alone || at(place - 1).some(([j]) => follows(i, j)) || at(place + 1).some(([j]) => follows(j, i))
      if (whole) top = Math.max(top, tokens[i].loud === SMALL ? 0.05 : weight)
    }
    return top
  })
}

/* A part of a text with the words of the query marked. */
function mark(text, found, weights, from = 0, to = text.length) {
  let [shown, at] = ["", from]
  found.forEach(({ at: start, end }, place) => {
    if (start < from || end > to || weights[place] < SEEN) return
    shown += `${escape(text.slice(at, start))}<mark>${escape(text.slice(start, end))}</mark>`
    at = end
  })
  return (shown + escape(text.slice(at, to))).replace(/<\/mark>([\s_-]*)<mark>/g, "$1")
}

/* The part of a section's text, or else of its code, that holds most of the query. */
function snippet(section, weights) {
  const best = kind => {
    const [field, found] = [section.fields[kind], section.words[kind]]
    let [top, start, left, sum] = [0, 0, 0, 0]
    const seen = new Map()
    const weigh = (place, step) => {
      const { word } = found[place]
      const count = (seen.get(word) || 0) + step * (weights[kind][place] > 0)
      if (count === (step > 0 ? 1 : 0)) sum += step * weights[kind][place]
      seen.set(word, count)
    }
    found.forEach(({ end }, place) => {
      weigh(place, 1)
      while (end - found[left].at > SNIPPET) weigh(left++, -1)
      if (sum > top + 1e-9) [top, start] = [sum, left]
    })
    return { top, start, field, found, weights: weights[kind] }
  }
  const prose = best(1)
  const code = best(2)
  const { start, field, found, weights: chosen } = code.top > prose.top ? code : prose
  if (!found.length) return ""
  let from = found[start].at
  if (from < 60) from = 0
  const inside = found.filter(({ at, end }) => at >= from && end <= from + SNIPPET)
  const whole = inside.length && inside[inside.length - 1] === found[found.length - 1]
  const to = whole || !inside.length ? field.length : inside[inside.length - 1].end
  return `<p>${from ? "… " : ""}${mark(field, found, chosen, from, to)}${whole ? "" : " …"}</p>`
}

/* Groups of sections by page, best first, as the theme shows them. */
function results(reading, pages) {
  const ofPage = new Map(pages.map(page => [page, []]))
  for (const row of rank(reading, pages)) if (row.score > 0) ofPage.get(row.page).push(row)
  const groups = []
  for (const [page, rows] of ofPage) {
    if (!rows.length) continue
    rows.sort((a, b) => b.score - a.score)
    const score = rows[0].score + MORE_ROWS * rows.slice(1, 4).reduce((sum, row) => sum + row.score, 0)
    groups.push({ page, score, rows: rows.filter(({ score }, i) => i < 8 && score > 0.25 * rows[0].score) })
  }
  groups.sort((a, b) => b.score - a.score)
  return groups.filter(({ score }) => score > 0.05 * groups[0].score).map(group => items(group, reading))
}

/* The page first, then its sections. The theme shows those that score no less than the first one of the group, unfolds
 * the others on demand, and leads the Enter key to the highest score. */
function items({ page, rows, score: exactly }, reading) {
  const { tokens, parts } = reading
  const score = 1000 * exactly // the theme keeps two decimals
  const made = rows.map(({ section, here, score: exact }, i) => {
    const weights = section.words.map(found => hits(reading, found))
    const terms = {}
    section.words.forEach((found, kind) => {
      found.forEach(({ word }, place) => {
        if (weights[kind][place] >= SEEN) terms[word] = true
      })
    })
    parts.forEach(({ loud, ways: [typed] }, i) => {
      if (loud > SMALL && !here[i][1]) terms[typed.tokens.map(token => tokens[token].word).join(" ")] = false
    })
    const near = i < SHOWN && exact > 0.6 * rows[0].score
    return {
      location: page.location + (section.anchor ? `#${section.anchor}` : ""),
      title: mark(section.fields[0], section.words[0], weights[0]),
      text: snippet(section, weights),
      terms,
      score: i === 0 ? score : (score * exact) / rows[0].score / (near && rows[0].section.anchor ? 1 : 4)
    }
  })
  if (!rows[0].section.anchor) return made
  const low = Math.min(...made.filter(({ score: own }) => own > 0.6 * score).map(({ score: own }) => own))
  const [{ fields, words }] = page.sections
  const title = mark(fields[0], words[0], hits(reading, words[0]))
  const terms = Object.fromEntries(Object.entries(made[0].terms).filter(([, met]) => met))
  const parent = { location: page.location, title, text: "", terms, score: low - 1 }
  return [parent, ...made.filter(({ location }) => location !== page.location)]
}

/* Words that the last one may become, the likeliest last: the theme shows that one. */
function suggestions(list, query) {
  const token = query[query.length - 1]
  if (!token || !token.last) return []
  return list
    .beginning(token.form)
    .flatMap(form => list.ofBare.get(form))
    .filter(number => list.words[number].startsWith(token.word))
    .sort((a, b) => list.hits[a].length - list.hits[b].length)
    .map(number => list.words[number])
}

// The worker

const texts = new Map() // page number -> promise of its text
let list
let latest = 0
let before = "" // the query before: is somebody typing?
let candidates = CANDIDATES

async function get(path) {
  const answer = await fetch(new URL(`../../${path}`, self.location), { cache: "no-cache" })
  if (!answer.ok) throw new Error(`${answer.status} ${path}`)
  return answer.json()
}

/* The list of words, fetched once; after a failure the next letter tries again. */
function listed() {
  list ||= get("search/words.json").then(data => new List(data))
  list.catch(() => (list = undefined))
  return list
}

/* The text of a page, fetched once. Without it, its title is all there is to look at. */
function text({ pages }, number) {
  const [location, title] = pages[number]
  const path = `search/pages/${location.replace(/\/$/, "").replaceAll("/", ".") || "index"}.json`
  if (!texts.has(number)) texts.set(number, get(path).then(([, sections]) => cut(location, sections)))
  return texts.get(number).catch(() => {
    texts.delete(number)
    return cut(location, [["", title, "", ""]])
  })
}

/* What the setup message of a site without a server brings. */
function takeAlong({ list: data, pages }) {
  candidates = pages.length
  list = Promise.resolve(new List(data))
  pages.forEach(([location, sections], number) => texts.set(number, Promise.resolve(cut(location, sections))))
}

async function search(question) {
  const turn = ++latest
  const typing = question.startsWith(before) || before.startsWith(question)
  before = question
  if (!parse(question).length) return { items: [] }
  const list = await listed()
  if (turn !== latest) return
  const query = parse(question).flatMap(token => apart(list, token))
  const reading = read(list, query)
  const chosen = choose(list, reading).sort((a, b) => b[1] - a[1])
  const best = chosen.slice(0, candidates).map(([page]) => page)
  if (typing && best.some(page => !texts.has(page))) {
    await new Promise(done => setTimeout(done, PAUSE))
    if (turn !== latest) return
  }
  const pages = await Promise.all(best.map(page => text(list, page)))
  if (turn !== latest) return
  return { items: results(settle(reading, pages), pages), suggest: suggestions(list, query) }
}

addEventListener("message", async ({ data: { type, data } }) => {
  if (type === SETUP) {
    if (data.docs.list) takeAlong(data.docs)
    return postMessage({ type: READY })
  }
  if (type !== QUERY) return
  const found = await search(data).catch(() => ({ items: [] }))
  if (found) postMessage({ type: RESULT, data: found })
})

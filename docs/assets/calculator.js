// The calculator. Models, GPUs, assumptions: read from the page.
{
  const form = document.querySelector(".calculator")
  const UNITS = { "%": -2, k: 3, nghìn: 3, ngàn: 3, m: 6, triệu: 6, b: 9, tỷ: 9, tỉ: 9, t: 12 }
  const write = (x, style) => x.toLocaleString("vi", style)

  // «175e9», «175 tỷ», «1.234,5», «40 %»; else NaN. Rounded once.
  const parse = (text) => {
    const [, digits, power, words] = /^([\d.,]+)(e\d+)?(\D*)$/.exec(text.normalize().toLowerCase().trim()) ?? [0, "-"]
    const plain = /^[1-9]\d{0,2}(\.\d{3})+(,\d+)?$/.test(digits) ? digits.replaceAll(".", "") : digits
    const zeros = (words?.match(/\S+/g) ?? []).reduce((sum, word) => sum + UNITS[word], +(power?.slice(1) ?? 0))
    return +`${plain.replace(",", ".")}e${zeros}`
  }

  // As `readable` of values.py.
  const show = (x) => {
    if (!(x > 0 && x < Infinity)) return "–"
    if (x >= 1e3 && x < 1e6) return write(Math.round(x))
    if (x >= 1e-3 && x < 1e15)
      return write(x, { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 3 })
    const [digits, power] = x.toExponential(2).replace("+", "").split("e")
    return digits.replace(".", ",") + "·10" + power.replace(/./g, (sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻")
  }

  const cells = {}
  for (const cell of document.querySelectorAll("data[title^=training_cost]")) {
    const key = cell.title.slice(15)
    const [, list, name] = /^(model|gpu)s\.(\w+)\.name$/.exec(key) ?? []
    if (list && !cells[key]) form[list].add(new Option(cell.value, name))
    cells[key] = cell
  }
  const fill = (group, ...fields) => {
    for (const field of fields) form[field].value = cells[`${group}.${field}`].textContent
  }

  const compute = () => {
    const [n, typed, u, price] = ["n", "d", "utilisation", "price"].map((field) => parse(form[field].value))
    const d = form.d.value ? typed : cells["models.chinchilla.ratio"].value * n
    const gpu = `gpus.${form.gpu.value}.`
    const flops = 6 * n * d
    const gpu_hours = flops / (cells[gpu + "tflops"].value * 1e12 * u) / 3600
    const kwh = (gpu_hours * cells[gpu + "watts"].value) / 1000
    const costs = { flops, gpu_hours, usd: gpu_hours * price, kwh, ratio: d / n }
    const good = { n: n > 0, d: d > 0, utilisation: u > 0 && u <= 1, price: price > 0 }
    for (const field in good) form[field].ariaInvalid = !good[field]
    for (const cell of form.querySelectorAll("data")) {
      cell.value = Object.values(good).includes(false) ? NaN : costs[cell.dataset.key]
      cell.textContent = show(+cell.value)
    }
  }
  let timer // read out when the typing ends
  form.oninput = ({ target }) => {
    if (target == form.model && target.value) fill(`models.${target.value}`, "n", "d")
    if (target == form.n || target == form.d) form.model.value = ""
    clearTimeout(timer)
    timer = setTimeout(compute, 200)
  }
  form.gpu.value = cells["assume.gpu"].value
  form.model.value = "gpt2"
  fill("assume", "utilisation", "price")
  fill("models.gpt2", "n", "d")
  compute()
  form.classList.add("ready")
}

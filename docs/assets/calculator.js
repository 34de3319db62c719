// Models, GPUs, assumptions: read from the page.
{
  const form = document.querySelector(".calculator")
  const UNITS = { "%": -2, k: 3, nghìn: 3, ngàn: 3, m: 6, triệu: 6, b: 9, tỷ: 9, tỉ: 9, t: 12 }
  const write = (x, style) => x.toLocaleString("vi", style)

  // «175e9», «175 tỷ», «1.234,5», «40 %»; else NaN. Rounded once.
  const parse = (text) => {
    const [, digits, power, words] = /^([\d.,]+)(e\d+)?(\D*)$/.exec(text.normalize().toLowerCase().trim()) ?? [0, "-"]
    const grouped = /^[1-9]\d{0,2}(\.\d{3})+(,\d+)?$/.test(digits)
    const scaled = power || /\S/.test(words) // 1.236B: one dot is a decimal point
    const plain = grouped && (!scaled || /,|\..*\./.test(digits)) ? digits.replaceAll(".", "") : digits
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
    const got = {}
    for (const { name, value } of form.querySelectorAll("input")) got[name] = parse(value)
    const { n, tflops, utilisation, price, gpus } = got
    if (!form.d.value) got.d = cells["models.chinchilla.ratio"].value * n
    const flops = 6 * n * got.d
    const hours = flops / (tflops * 1e12 * utilisation) / 3600
    const watts = cells[`gpus.${form.gpu.value}.watts`]?.value
    const costs = { flops, days: hours / gpus / 24, usd: hours * price, kwh: (hours * watts) / 1000 }
    Object.assign(costs, { gpu_hours: hours, ratio: got.d / n, memory: (16 * n) / 1e9 })
    let bad
    for (const name in got) {
      const wrong = !(got[name] > 0) || (name == "utilisation" && got[name] > 1)
      form[name].ariaInvalid = wrong
      bad ||= wrong
    }
    for (const cell of form.querySelectorAll("data")) {
      cell.value = bad ? NaN : costs[cell.dataset.key]
      cell.textContent = show(+cell.value)
    }
  }
  let timer // read out when typing ends
  form.oninput = ({ target: { name, value } }) => {
    if (name == "model" && value) fill(`models.${value}`, "n", "d")
    if (name == "gpu" && value) fill(`gpus.${value}`, "tflops")
    if (/^[nd]$/.test(name)) form.model.value = ""
    if (name == "tflops") form.gpu.value = ""
    clearTimeout(timer)
    timer = setTimeout(compute, 200)
  }
  form.gpu.value = cells["assume.gpu"].value
  form.model.value = "gpt2"
  fill("assume", "utilisation", "price", "gpus")
  fill(`gpus.${form.gpu.value}`, "tflops")
  fill("models.gpt2", "n", "d")
  compute()
  form.classList.add("ready")
}

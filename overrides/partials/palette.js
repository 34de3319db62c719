// As the system has it, light, or dark: set before the first paint, kept for the next page.
{
  const choices = [...document.getElementsByName("__palette")]
  const dark = matchMedia("(prefers-color-scheme: dark)")
  let chosen = __md_get("__palette")?.index
  if (!choices[chosen]) chosen = 0
  const show = () => {
    document.body.dataset.mdColorScheme = choices[chosen || (dark.matches ? 2 : 1)].dataset.mdColorScheme
    choices.forEach((choice, index) => { choice.nextElementSibling.hidden = index !== chosen })
  }
  choices.forEach((choice, index) => {
    choice.addEventListener("change", () => {
      chosen = index
      __md_set("__palette", { index })
      show()
    })
    choice.addEventListener("keydown", ({ key }) => {
      if (key !== "Enter") return
      const next = choices[(index + 1) % choices.length]
      next.click()
      next.focus()
    })
  })
  dark.addEventListener("change", show)
  choices[chosen].checked = true
  show()
}

// In a version that mike deployed. This program is frozen with it: it knows nothing of later ones.
{
  // The banner of an older version, shown by the theme, leads to the same address in the newest one: that has a page at
  // every address that a release ever had.
  const home = new URL("{{ (base_url ~ '/') | replace('//', '/') }}", location)
  const link = document.querySelector("[data-md-component=outdated] a")
  const page = location.pathname.slice(home.pathname.length)
  if (link) link.href = new URL(`../latest/${page}`, home) + location.hash

  // The theme's selector says what it is for, not which version it shows: a name that is read out has to hold both.
  new MutationObserver((_, observer) => {
    const selector = document.querySelector(".md-version__current")
    if (!selector) return
    observer.disconnect()
    selector.setAttribute("aria-label", `${selector.getAttribute("aria-label")}: ${selector.textContent}`)
  }).observe(document.querySelector(".md-header"), { childList: true, subtree: true })
}

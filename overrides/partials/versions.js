// On a page of an older release: show the banner, and lead to the same page in the newest one, or to its new address.
// This program is frozen with its release. It knows nothing of later ones but two files beside the versions, whose form
// is for ever: versions.json (by mike) and redirects.json ({"pages": {"old/": "new/", "gone/": ""}}).
document.addEventListener("DOMContentLoaded", () => {
  const home = new URL("{{ (base_url ~ '/') | replace('//', '/') }}", location)
  const root = new URL("../", home)
  const json = name => fetch(new URL(name, root)).then(answer => (answer.ok ? answer.json() : undefined), () => undefined)

  const update = async () => {
    const banner = document.querySelector("[data-md-component=outdated]")
    const link = banner?.querySelector("a[data-moved]")
    if (!link) return
    const versions = await json("versions.json")
    const name = decodeURIComponent(home.pathname.split("/").at(-2))
    const mine = versions?.find(entry => entry.version === name || entry.aliases.includes(name))
    if (!mine || mine.aliases.includes("latest") || !/^\d/.test(name)) return
    const pages = (await json("redirects.json"))?.pages ?? {}
    const here = decodeURIComponent(location.pathname.slice(home.pathname.length)).replace(/(^|\/)index\.html$/, "$1")
    const now = Object.hasOwn(pages, here) ? pages[here] : here
    link.href = new URL(`latest/${now}`, root) + (now ? location.hash : "")
    if (now !== here) link.textContent = now ? link.dataset.moved : link.dataset.gone
    banner.hidden = false
  }

  // The theme's selector says what it is for, not which version it shows: a name that is read out has to hold both.
  new MutationObserver((_, observer) => {
    const selector = document.querySelector(".md-version__current")
    if (!selector) return
    observer.disconnect()
    selector.setAttribute("aria-label", `${selector.getAttribute("aria-label")}: ${selector.textContent}`)
  }).observe(document.querySelector(".md-header"), { childList: true, subtree: true })

  update()
}, { once: true })

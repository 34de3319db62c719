// The theme's program is loaded when the page has been drawn: on a slow phone the two together hold up both. It waits
// for DOMContentLoaded, which is over by then: whoever begins to listen so late is called at once.
{
  const listen = document.addEventListener
  document.addEventListener = function (type, listener, options) {
    if (type === "DOMContentLoaded" && document.readyState !== "loading") {
      setTimeout(() => listener.call(document, new Event(type)))
    } else {
      listen.call(document, type, listener, options)
    }
  }
  const load = () => {
    const program = document.createElement("script")
    program.src = "{{ program }}"
    document.body.append(program)
  }
  addEventListener("load", () => requestAnimationFrame(() => setTimeout(load)))
}

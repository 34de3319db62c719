/* The worker that every page starts: the search itself (search.js) is downloaded with the first letter typed. */

{
  const [SETUP, READY, QUERY, RESULT] = [0, 1, 2, 3]
  let setup

  addEventListener("message", function wait({ data: message }) {
    if (message.type === SETUP) {
      setup = message
      postMessage({ type: READY })
    } else if (message.type === QUERY && !message.data) {
      postMessage({ type: RESULT, data: { items: [] } })
    } else if (message.type === QUERY) {
      importScripts("search.js") // when that fails, the next letter tries again
      removeEventListener("message", wait)
      for (const data of [setup, message]) dispatchEvent(new MessageEvent("message", { data }))
    }
  })
}

// «Chép cả script»: the file beside the lesson goes to the clipboard. Without JavaScript the link shows the file.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-copy]")
  if (!link || !navigator.clipboard) return
  event.preventDefault()
  const label = (link.dataset.label ??= link.textContent) // a second click meets «Đã chép»
  try {
    const answer = await fetch(link.href)
    if (!answer.ok) throw new Error(answer.statusText)
    await navigator.clipboard.writeText(await answer.text())
    link.textContent = "Đã chép"
  } catch {
    link.textContent = "Không chép được, hãy tải script"
  }
  setTimeout(() => (link.textContent = label), 2000)
})

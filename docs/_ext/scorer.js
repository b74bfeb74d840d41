// Sphinx's own weights; but what is named by the words of a search stands before what speaks of them, pages before sections.
var Scorer = {
  score: ([docname, title, anchor, description, score]) => {
    const query = new URLSearchParams(window.location.search).get("q") || "";
    const words = query.toLowerCase().split(/[^\p{L}\p{N}_]+/u).filter((word) => word);
    const named = words.filter((word) => title.toLowerCase().includes(word));
    return score + (20 * named.length) / Math.max(words.length, 1) + (anchor ? 0 : 5) + 1 / title.length;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

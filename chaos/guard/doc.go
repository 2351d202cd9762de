// Package guard stands before everything of ours that listens for HTTP: the API of
// the proxies, a game day's console, metrics.
//
//	connection ──▶ bounded ──▶ token ──▶ host ──▶ page ──▶ body ──▶ handler
//	              in number    401       403      403      413
//	              and time
//
// # Design
//
// What listens on loopback is open to every program of the machine, and by way of
// its browsers to every page that they show. Three things keep pages out, because
// each leaves a gap:
//
//   - The host that is asked for. A page whose name was made to lead here (DNS
//     rebinding) is of our own origin for its browser, so that no look at the origin
//     sees it; only the name gives it away. IP addresses and localhost are served, as
//     no foreign name server can make them lead here, and names that were given.
//   - The origin (http.CrossOriginProtection), for what pages of other names send.
//   - The token, which no foreign page knows. A console exchanges it for a cookie,
//     which a browser keeps to the name that set it.
//
// A request is refused before its body is read, and bodies, headers, connections and
// the time that each of them takes are bounded: who opens many and says nothing
// takes no more than those.
package guard

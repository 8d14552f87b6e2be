// Starts Swagger UI. With a token, the examples name what its user sees, so that they can be tried as they stand.
import { fill, look } from "./examples.js";

const KEPT = "authorized"; // where Swagger UI keeps the token

function token() {
  try { return JSON.parse(localStorage.getItem(KEPT))?.token?.value ?? ""; } catch { return ""; }
}

/** The page is loaded anew when somebody enters a token or takes it out. */
const again = (original) => (...given) => {
  original(...given);
  location.reload();
};
const plugin = () => ({ statePlugins: { auth: { wrapActions: { authorizeWithPersistOption: again, logoutWithPersistOption: again } } } });

async function spec() {
  const document_ = await (await fetch(document.getElementById("swagger-ui").dataset.openapi)).json();
  const bearer = token();
  return bearer ? fill(document_, await look(bearer)) : document_;
}

// With the default validatorUrl the page would fetch a badge from another host.
window.ui = SwaggerUIBundle({
  spec: await spec(), dom_id: "#swagger-ui", persistAuthorization: true, plugins: [plugin],
  validatorUrl: null, filter: true, docExpansion: "none", defaultModelsExpandDepth: -1, displayRequestDuration: true,
});

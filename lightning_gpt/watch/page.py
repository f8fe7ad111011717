"""Makes the page that `server` serves: made of the files of `lightning_gpt.page`, and nothing of a run is in it."""

from lightning_gpt.page.html import asset, bundle, filled, hashed


def page() -> tuple[bytes, str]:
    """Renders the page; returns it with the policy that it is to be served under: "CSP Level 3", W3C.

    It may ask its own server only, run its own script only, and show the pictures that this makes of bytes.
    """
    style, script = asset("style.css") + asset("watch.css"), bundle("watch")
    policy = (
        f"default-src 'none'; script-src {hashed(script)}; style-src {hashed(style)}; connect-src 'self'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    html = filled("watch.html", style=f"<style>{style}</style>", script=f'<script type="module">{script}</script>')
    return html.encode(), policy

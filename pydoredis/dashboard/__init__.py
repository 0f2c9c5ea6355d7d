"""`pydoredis dashboard`: what `pydoredis top` shows, as a web page, with Starlette and uvicorn.

`access` says who may do what, `watch` looks at the server, `site` answers, `serve` listens.
"""

"""The web explorer: what the commands print, as pages with addresses that stay.

Pages are made on the server, of the same models that all other formats print. Scripts only make them quicker
to use; without them every page says the same.
"""

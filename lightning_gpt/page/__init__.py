"""Puts trained networks on one page of HTML that computes with them: the networks as data, and JavaScript beside it.

`content` says what is on the page, in plain values; `html` makes the file; `assets/` is what runs in the browser, a
small file for each job, in the order tensor, attention, networks, decoding, sampling, bpe, tokenizer, weights, worker;
then the panels. What they compute is what the rooms `ladder` and `model` compute, number for number. The page of
`lightning_gpt.watch` lies there, too (feed, chart, watch), and shares dom and style.
"""

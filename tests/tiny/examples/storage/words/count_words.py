"""Đếm từ trong một câu bằng hai cách.

Chạy: python count_words.py [--json TỆP] [--break spaces]
"""

# %% Chuẩn bị
import argparse
import json
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--json", type=Path)
parser.add_argument("--break", dest="damage", choices=["spaces"])
args = parser.parse_args()
sentence = "lưu rồi đọc lại"
if args.damage:
    sentence = sentence.replace(" ", "  ")

# %% Đếm
print("== Đếm ==")
words = len(sentence.split())
hasty = len(sentence.split(" "))
print(f"{words} từ, đếm vội {hasty}")

# %% Kết quả
if args.json:
    args.json.write_text(json.dumps({"exact": {"words": words, "hasty": hasty}}), encoding="utf-8")
sys.exit(0 if words == hasty else 1)

"""Đếm từ trong một câu bằng hai cách.

Chạy: python count_words.py
"""

# %% Chuẩn bị
sentence = "lưu rồi đọc lại"
spaced = sentence.replace(" ", "  ")


def hasty_count(text: str) -> int:
    """Số mẩu giữa các dấu cách: sai khi có hai dấu cách liền nhau."""
    return len(text.split(" "))


# %% Đếm
print("== Đếm ==")
words = len(sentence.split())
hasty = hasty_count(sentence)
print(f"{words} từ, đếm vội {hasty}")

# %% Dấu cách thừa
print("== Dấu cách thừa ==")
wrong = hasty_count(spaced)
print(f"{words} từ, đếm vội {wrong}")

# %% Kết quả
results = {"exact": {"words": words, "hasty": hasty, "wrong": wrong}}

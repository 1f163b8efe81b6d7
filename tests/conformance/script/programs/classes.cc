// Functions of C++ whose arguments are of classes, each called once with known values.
namespace shop {
struct Named {
  char name[8];
  int number;
};
class Item : public Named {
 public:
  struct Price {
    long cents;
    unsigned taxed : 1, rate : 7;
  };
  Item(const Named &named, long cents) : Named(named), price{cents, 1, 19}, next(this) {}
  long cost(int count, const Price &discount) const;

  Price price;
  Item *next;
  static int made;
};
int Item::made = 1;
long Item::cost(int count, const Price &discount) const {
  return (price.cents - discount.cents) * count;
}
template <typename Number>
Number twice(Number number) {
  return number + number;
}
enum class Kind : short { kSmall, kLarge = 300 };
int weigh(Kind kind, double exact, int rounded) {
  return static_cast<int>(kind) + static_cast<int>(exact) + rounded;
}
}  // namespace shop

int main() {
  shop::Named named = {"apple", 7};
  shop::Item item(named, 250);
  shop::Item::Price discount = {50, 0, 3};
  long all = item.cost(3, discount);
  return static_cast<int>(all) + shop::twice(shop::Item::made) + shop::weigh(shop::Kind::kLarge, 1.5, 2) == 0;
}
